/**
 * Tells the gate what an account's rows say now. Called after the commit of every change of a limit, a state or a top-up.
 *
 * On failure: nothing is told, and nothing is wrong: the change holds, and a gate that has not heard of it lets a message
 * through to the door too many, or asks the rows once more.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { AccountId } from "../platform/ids.ts";
import type { Gate, Standing } from "./gate.ts";

export async function publishAccount(db: Db, gate: Gate, accountId: AccountId): Promise<void> {
  let standings: Standing[];
  try {
    standings = await currentStandings(db, accountId);
  } catch {
    return;
  }
  await gate.publish(standings);
}

/** Of the running and coming periods. */
async function currentStandings(db: Db, accountId: AccountId): Promise<Standing[]> {
  const rows = await db
    .selectFrom("usage")
    .select(["account_id", "master_id", "period_start", "period_end", "used", "cap", "version"])
    .select(sql<boolean>`open and coalesce(open_until > pm_now(), true)`.as("open"))
    .where("account_id", "=", accountId)
    .where("period_end", ">", sql<Date>`pm_now()`)
    .execute();
  return rows.map((row) => ({
    accountId: row.account_id,
    masterId: row.master_id,
    periodStart: row.period_start,
    periodEnd: row.period_end,
    used: row.used,
    cap: row.cap,
    version: row.version,
    open: row.open,
  }));
}
