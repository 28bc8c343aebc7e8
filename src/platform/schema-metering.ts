/** What was used and what is charged: the tables of 0002_metering.sql, 0015_usage_day.sql, 0041_statements.sql and 0046_ledger_archive.sql. */
import type { ColumnType, Generated } from "kysely";
import type { AccountId, EntryId, EventId, MasterId, MessageId, StatementId, SubaccountId, TopUpId } from "./ids.ts";

export type UsageOrderTable = {
  account_id: SubaccountId;
  master_id: MasterId;
  used: number;
  percent: number;
  remaining: number;
};

export type UsageOrderStateTable = {
  master_id: MasterId;
  period_start: Date;
  read_at: Date;
};

export type UsageTable = {
  account_id: AccountId;
  period_start: Date;
  period_end: Date;
  master_id: MasterId;
  used: Generated<number>;
  cap: number | null;
  base: number | null;
  top_up: Generated<number>;
  open: boolean;
  open_until: Date | null;
  thresholds: number[];
  alert_level: Generated<number>;
  version: Generated<number>;
  /** Something else holds its mail back too (0020). */
  guarded: Generated<boolean>;
  /** Units kept for transactional credentials; its subaccount's (0048). */
  reserve: Generated<number>;
  /** It has credits left, or had when this was last looked at (0048). */
  credited: Generated<boolean>;
  /** Of `used`, paid by credits; part of `cap` (0023). */
  credit_used: Generated<number>;
};

export type UsageEntryTable = {
  id: MessageId | EntryId;
  master_id: MasterId;
  subaccount_id: SubaccountId;
  period_start: Date;
  units: number;
  kind: "accept" | "void" | "correction" | "sandbox";
  corrects: MessageId | null;
  note: string | null;
  accepted_at: Date;
  /** Who made a correction (0042); null where nobody wrote it down. */
  actor_kind: string | null;
  actor_id: string | null;
};

/** Dates as text, `2026-11-01`; give and take them as such (`::date`, `::text`). */
export type SummedDayTable = {
  entry_day: string;
  entries: number;
  summed_at: Date;
  turn: Generated<number>;
};

export type UsageDayTable = {
  entry_day: string;
  master_id: MasterId;
  period_start: Date;
  subaccount_id: SubaccountId;
  since: Date;
  until: Date;
  messages: number;
  units: number;
  corrections: number;
};

/** Archived months of the ledger (0046); a month as text, `2026-08-01`. Only the two instants at the end may change. */
export type LedgerArchiveTable = {
  month: string;
  file: string;
  entries: number;
  kinds: ColumnType<KindTotals, string, never>;
  first_id: string | null;
  last_id: string | null;
  file_bytes: number;
  file_sha256: Buffer;
  plain_bytes: number;
  plain_sha256: Buffer;
  manifest_sha256: Buffer;
  archived_at: Date;
  removed_at: Date | null;
  restored_at: Date | null;
  archived: ColumnType<boolean, never, never>;
};

/** By kind of entry. */
export type KindTotals = Readonly<Record<string, Readonly<{ entries: number; units: number }>>>;

export type TopUpTable = {
  id: TopUpId;
  subaccount_id: SubaccountId;
  master_id: MasterId;
  period_start: Date;
  units: number;
  note: string | null;
  created_at: Date;
};

export type RefusalTable = {
  subaccount_id: SubaccountId;
  minute: Date;
  reason: string;
  master_id: MasterId;
  period_start: Date;
  messages: number;
  units: number;
  sample: ColumnType<unknown, string | null | undefined, string | null>;
  id: EventId;
};

export type StatementTable = {
  id: StatementId;
  master_id: MasterId;
  period_start: Date;
  period_end: Date;
  allowance: number | null;
  cap: number | null;
  overage: "block" | "bill";
  units: number;
  messages: number;
  corrections: number;
  lines_hash: Buffer;
  chain_hash: Buffer;
  closed_at: Date;
  format: Generated<1 | 2>;
  number: Generated<number>;
  credits: Generated<number>;
  refused: Generated<number>;
};

export type StatementLineTable = {
  statement_id: StatementId;
  subaccount_id: SubaccountId;
  name: string;
  external_id: string | null;
  monthly_limit: number | null;
  top_up: number;
  messages: number;
  units: number;
  corrections: number;
  credits: Generated<number>;
  overage_units: Generated<number>;
  refused: Generated<number>;
  billing_profile: string | null;
};

export type StatementProfileTable = {
  statement_id: StatementId;
  name: string;
  currency: string;
  cost_centre: string | null;
  address: string | null;
};

export type StatementDueTable = {
  master_id: MasterId;
  due_at: Date;
};
