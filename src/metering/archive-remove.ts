/**
 * Drops the partitions of a month that is in a file.
 *
 * Invariant: they go in the transaction that says so, and only while they hold, under a lock, what the file was recorded with. The table
 * of all days is locked at the end alone, for as long as it takes to drop tables: mail waits meanwhile.
 * On failure: nothing has gone.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { sql } from "kysely";
import { type AuditRecord, record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import type { KindTotals } from "../platform/schema.ts";
import { partitionDays, unsummedDays } from "./archive-due.ts";
import { sortedKinds } from "./archive-files.ts";
import type { ArchiveRecord } from "./archive-records.ts";
import { partitionOf } from "./day-entries.ts";
import { firstDay, type Month } from "./months.ts";

const TRIES = 5;
const PAUSE_MS = 250;
/** Acceptance stands in the queue behind us meanwhile. */
const PATIENCE = "200ms";

/** Somebody else's transaction stood in the way, and ours gave way to it. */
const BUSY = new Set(["55P03", "40P01"]);

/** Who does it. */
export type By = Readonly<{ principal: AuditRecord["principal"]; clock: Clock }>;

export async function removeMonth(db: Db, record: ArchiveRecord, by: By): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await db.transaction().execute((trx) => remove(trx, record, by));
    } catch (error) {
      if (!BUSY.has((error as { code?: string }).code ?? "")) throw error;
      if (tries === TRIES) {
        throw new Fault(
          "unavailable",
          `The partitions of ${record.month} are in use by long transactions: nothing was removed. Run it again.`,
        );
      }
      await sleep(PAUSE_MS * tries);
    }
  }
}

async function remove(trx: Db, archive: ArchiveRecord, by: By): Promise<void> {
  const { month } = archive;
  await checkUnchanged(trx, archive);
  const partitions = await partitionsOf(trx, month);
  await sql`set local lock_timeout = ${sql.lit(PATIENCE)}`.execute(trx);
  if (partitions.length > 0) await sql`lock table only usage_entry in access exclusive mode`.execute(trx);
  for (const partition of partitions) {
    await sql`alter table usage_entry detach partition ${partition}`.execute(trx);
    await sql`drop table ${partition}`.execute(trx);
  }
  await sql`update ledger_archive set removed_at = pm_now(), restored_at = null where month = ${firstDay(month)}::date`.execute(
    trx,
  );
  await recordMonth(trx, "ledger.archived", archive, by);
}

/** An entry of the audit log. */
export async function recordMonth(
  trx: Db,
  action: "ledger.archived" | "ledger.restored",
  { month, file, entries }: ArchiveRecord,
  { principal, clock }: By,
): Promise<void> {
  const after = { file, entries };
  await record(
    trx,
    { principal, action, target: month, before: null, after, masterId: null, subaccountId: null },
    clock,
  );
}

async function partitionsOf(trx: Db, month: Month) {
  return (await partitionDays(trx, "usage_entry", month)).map((day) => sql.table(partitionOf(day)));
}

/** Nobody writes into the month from here to the end of the transaction. */
async function checkUnchanged(trx: Db, { month, kinds }: ArchiveRecord): Promise<void> {
  const partitions = await partitionsOf(trx, month);
  const counted: Record<string, { entries: number; units: number }> = {};
  for (const partition of partitions) {
    await sql`lock table ${partition} in share row exclusive mode`.execute(trx);
    const { rows } = await sql<{ kind: string; entries: number; units: number }>`
      select kind, count(*) as entries, sum(units)::bigint as units from ${partition} group by kind`.execute(trx);
    for (const { kind, entries, units } of rows) {
      const before = counted[kind] ?? { entries: 0, units: 0 };
      counted[kind] = { entries: before.entries + entries, units: before.units + units };
    }
  }
  const [unsummed] = await unsummedDays(trx, month);
  if (unsummed !== undefined)
    throw new Fault(
      "conflict",
      `The sums of ${unsummed} are not kept any more: nothing was removed. Run it again later.`,
    );
  if (!isDeepStrictEqual(sortedKinds(counted), sortedKinds(kinds))) {
    throw new Fault(
      "conflict",
      `${month} has changed since it was written: ${told(counted)} in the database, ${told(kinds)} in the file. Nothing was removed; postmeter ledger verify says more.`,
    );
  }
}

function told(kinds: KindTotals): string {
  const parts = Object.entries(sortedKinds(kinds)).map(
    ([kind, { entries, units }]) => `${entries} ${kind} (${units} units)`,
  );
  return parts.length === 0 ? "no entries" : parts.join(", ");
}
