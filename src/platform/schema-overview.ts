/** Saved views, imports and bulk changes, operator reviews: the tables of 0028_bulk.sql and 0029_review.sql. */
import type { Generated } from "kysely";
import type { BulkRunId, MasterId, ReviewId, SubaccountId, ViewId } from "./ids.ts";
import type { Json, JsonWithDefault, NullableJson } from "./schema-columns.ts";

export type SavedViewTable = {
  id: ViewId;
  master_id: MasterId | null;
  owner: string;
  name: string;
  filter: Json<Record<string, string>>;
  sort: string | null;
  columns: string[] | null;
  shared: Generated<boolean>;
  created_at: Date;
  updated_at: Date;
  version: Generated<number>;
};

export type BulkRunTable = {
  id: BulkRunId;
  kind: "import" | "change";
  master_id: MasterId;
  asked_by: Json<Record<string, unknown>>;
  state: "receiving" | "previewed" | "running" | "done" | "stopped";
  change: NullableJson<Record<string, unknown>>;
  ignored: Generated<string[]>;
  planned: JsonWithDefault<Record<string, number | null>>;
  total: Generated<number>;
  done: Generated<number>;
  created: Generated<number>;
  changed: Generated<number>;
  unchanged: Generated<number>;
  skipped: Generated<number>;
  failed: Generated<number>;
  detail: string | null;
  secrets_taken_at: Date | null;
  created_at: Date;
  touched_at: Date;
  finished_at: Date | null;
};

/** Of the file's column; null: of the whole row. */
export type ItemError = Readonly<Record<"column", string | null> & Record<"detail", string>>;

export type BulkItemTable = {
  run_id: BulkRunId;
  n: number;
  line: number | null;
  subaccount_id: SubaccountId | null;
  version: number | null;
  given: NullableJson<Record<string, string>>;
  before: NullableJson<Record<string, unknown>>;
  after: NullableJson<Record<string, unknown>>;
  planned: "create" | "change" | "same" | "error";
  outcome: "created" | "changed" | "unchanged" | "skipped" | "failed" | null;
  errors: NullableJson<ItemError[]>;
  secret: Buffer | null;
};

export type ReviewTable = {
  id: ReviewId;
  master_id: MasterId;
  subaccount_id: SubaccountId;
  question: string;
  hold: boolean;
  told: "subaccount" | "master" | "both";
  state: Generated<"open" | "answered" | "closed">;
  answer: string | null;
  answered_by: string | null;
  answered_at: Date | null;
  decision: "release" | "suspend" | null;
  note: string | null;
  opened_at: Date;
  closed_at: Date | null;
  opening_mailed_at: Date | null;
  closing_mailed_at: Date | null;
  version: Generated<number>;
};
