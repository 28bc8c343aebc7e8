/** Closed accounts whose contents go: the table of 0036_erasure.sql. */
import type { Generated } from "kysely";
import type { ErasureId, MasterId, SubaccountId } from "./ids.ts";
import type { Json } from "./schema-columns.ts";

export type ErasureTable = {
  id: ErasureId;
  master_id: MasterId;
  subaccount_id: SubaccountId;
  asked_by: Json<Record<string, unknown>>;
  purge: Generated<boolean>;
  state: Generated<"running" | "done">;
  step: Generated<number>;
  after_id: string | null;
  total: number | null;
  done: Generated<number>;
  created_at: Date;
  touched_at: Date;
  finished_at: Date | null;
};
