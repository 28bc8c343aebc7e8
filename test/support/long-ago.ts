/** A database at an instant far ahead, with the ledger of the days before it, so that no test depends on the day it runs. */
import { periodAt } from "../../src/metering/period.ts";
import type { MasterId, SubaccountId } from "../../src/platform/ids.ts";
import { ensurePartitions } from "../../src/platform/partitions.ts";
import { type TestDatabase, testDatabase } from "./database.ts";
import { addEntries, makeDays } from "./old-entries.ts";
import { utcMonths } from "./submission.ts";

const DAY_MS = 86_400_000;

/** A Tuesday at noon. */
export const TUESDAY = Date.parse("2035-10-16T12:00:00Z");

/** `days` of the ledger before `at` are there to be written. */
export async function databaseAt(at: number = TUESDAY, days = 62): Promise<TestDatabase> {
  const database = await testDatabase({ clockOffsetMs: at - Date.now() });
  await makeDays(database, at - days * DAY_MS, at - DAY_MS);
  await ensurePartitions(database.db);
  return database;
}

/** What each of the `days` days before has brought, at noon (UTC), as the ledger and the counters have it. */
export async function sentBefore(
  database: TestDatabase,
  account: Readonly<{ masterId: MasterId; subaccountId: SubaccountId }>,
  days: number,
  units: (date: Date, ago: number) => number,
): Promise<void> {
  const { masterId, subaccountId } = account;
  const noon = Math.floor(database.clock.now().getTime() / DAY_MS) * DAY_MS + DAY_MS / 2;
  const entries = Array.from({ length: days }, (_, i) => {
    const ago = days - i;
    const atMs = noon - ago * DAY_MS;
    const { start: periodStart } = periodAt(utcMonths, new Date(atMs));
    return {
      atMs,
      masterId,
      subaccountId,
      periodStart,
      units: units(new Date(atMs), ago),
      kind: "accept" as const,
    };
  }).filter((entry) => entry.units > 0);
  await addEntries(database, entries);
  const running = periodAt(utcMonths, database.clock.now());
  const used = entries
    .filter(({ periodStart }) => periodStart.getTime() === running.start.getTime())
    .reduce((sum, entry) => sum + entry.units, 0);
  for (const id of [subaccountId, masterId]) {
    await database.pool.query("select open_usage($1, $2, $3)", [id, running.start, running.end]);
    await database.pool.query("update usage set used = used + $3 where account_id = $1 and period_start = $2", [
      id,
      running.start,
      used,
    ]);
  }
}

/** The days before an account was made are not there: this one has been for long. */
export async function madeLongAgo(database: TestDatabase, ...ids: (MasterId | SubaccountId)[]): Promise<void> {
  for (const table of ["master", "subaccount"]) {
    await database.pool.query(`update ${table} set created_at = created_at - interval '1 year' where id = any($1)`, [
      ids,
    ]);
  }
}
