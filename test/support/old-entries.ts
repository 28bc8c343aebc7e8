/** Entries of days long gone, written as they would lie there; nothing else knows of them. */
import { randomBytes } from "node:crypto";
import { dateAt } from "../../src/metering/dates.ts";
import { partitionOf as partitionOfDay } from "../../src/metering/day-entries.ts";
import type { MasterId, SubaccountId } from "../../src/platform/ids.ts";
import type { TestDatabase } from "./database.ts";

export type OldEntry = Readonly<{
  atMs: number; // of its id
  masterId: MasterId;
  subaccountId: SubaccountId;
  periodStart: Date;
  units: number;
  kind: "accept" | "void" | "correction";
}>;

const DAY_MS = 86_400_000;

/** The ledger's partitions of the UTC days of [fromMs, toMs]. */
export async function makeDays({ pool }: TestDatabase, fromMs: number, toMs: number): Promise<void> {
  for (let ms = Math.floor(fromMs / DAY_MS) * DAY_MS; ms <= toMs; ms += DAY_MS) {
    const name = partitionOf(ms);
    await pool.query(`create table ${name} (like usage_entry including all);
      alter table usage_entry attach partition ${name} for values
        from (uuid_at(to_timestamp(${ms / 1000}))) to (uuid_at(to_timestamp(${(ms + DAY_MS) / 1000})))`);
  }
}

export function partitionOf(ms: number): string {
  return partitionOfDay(dateAt(ms));
}

export async function addEntries({ pool }: Pick<TestDatabase, "pool">, entries: readonly OldEntry[]): Promise<void> {
  const of = <T>(value: (entry: OldEntry) => T) => entries.map(value);
  await pool.query(
    `insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
     select *, pm_now() from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::int[], $6::text[])`,
    [
      of(({ atMs }) => idOf(atMs)),
      of(({ masterId }) => masterId),
      of(({ subaccountId }) => subaccountId),
      of(({ periodStart }) => periodStart.toISOString()),
      of(({ units, kind }) => (kind === "void" ? 0 : units)),
      of(({ kind }) => kind),
    ],
  );
}

/** A UUIDv7. */
function idOf(atMs: number): string {
  const hex = `${atMs.toString(16).padStart(12, "0")}7${randomBytes(10).toString("hex").slice(1)}`;
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
