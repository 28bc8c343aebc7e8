/** The items of a run: planned in pieces, read page by page. */
import { type Selectable, sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { BulkRunId, SubaccountId } from "../platform/ids.ts";
import type { ItemError, Schema } from "../platform/schema.ts";
import type { Run } from "./runs.ts";

type Members = Readonly<Record<string, unknown>>;

export type NewItem = Readonly<{
  line: number | null;
  subaccountId: SubaccountId | null;
  version: number | null;
  given: Readonly<Record<string, string>> | null;
  before: Members | null;
  after: Members | null;
  planned: "create" | "change" | "same" | "error";
  errors: readonly ItemError[];
}>;

export type Item = Readonly<{
  n: number;
  line: number | null;
  subaccountId: SubaccountId | null;
  version: number | null;
  given: Readonly<Record<string, string>> | null;
  before: Members | null;
  after: Members | null;
  planned: NewItem["planned"];
  /** Null: not done yet. */
  outcome: "created" | "changed" | "unchanged" | "skipped" | "failed" | null;
  errors: readonly ItemError[];
}>;

const json = (value: unknown) => (value === null ? null : JSON.stringify(value));

/** @param first the number of the first of them */
export async function insertItems(db: Db, runId: BulkRunId, first: number, items: readonly NewItem[]): Promise<void> {
  if (items.length === 0) return;
  const rows = items.map((item, i) => ({
    run_id: runId,
    n: first + i,
    line: item.line,
    subaccount_id: item.subaccountId,
    version: item.version,
    given: json(item.given),
    before: json(item.before),
    after: json(item.after),
    planned: item.planned,
    errors: item.errors.length === 0 ? null : JSON.stringify(item.errors),
  }));
  await db.insertInto("bulk_item").values(rows).execute();
}

export type ItemFilter = Readonly<{
  /** Only those with errors. */
  wrong?: boolean | undefined;
  /** The number of the last one before. */
  after?: number | undefined;
  limit: number;
}>;

/** In their order; `limit + 1` rows, the last tells that there is more. `run` proves the permission. */
export async function listItems(db: Db, { id }: Run, { wrong, after = 0, limit }: ItemFilter): Promise<Item[]> {
  let query = db.selectFrom("bulk_item").selectAll().where("run_id", "=", id).where("n", ">", after);
  if (wrong) query = query.where(sql<boolean>`errors is not null`);
  const rows = await query
    .orderBy("n")
    .limit(limit + 1)
    .execute();
  return rows.map(itemOf);
}

export function itemOf(row: Selectable<Schema["bulk_item"]>): Item {
  const { n, line, version, given, before, after, planned, outcome } = row;
  const errors = row.errors ?? [];
  return { n, line, version, given, before, after, planned, outcome, errors, subaccountId: row.subaccount_id };
}
