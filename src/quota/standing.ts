/**
 * What the usage rows say: the truth by which every refusal is confirmed. One statement by primary key, prepared on each
 * connection, about 40 us.
 */
import type { Pool } from "pg";
import type { AccountId, MasterId } from "../platform/ids.ts";
import type { Charge, Standing } from "./gate.ts";

const STANDINGS = {
  name: "standings",
  text: `select account_id, master_id, period_end, used, cap, version, open and coalesce(open_until > pm_now(), true) as open,
                period_end <= pm_now() as ended, case when guarded then reserve end as reserve,
                case when credited then credits_left(account_id, pm_now()) end as credits
           from usage where account_id = any($1::uuid[]) and period_start = $2::timestamptz`,
} as const;

type Row = {
  account_id: AccountId;
  master_id: MasterId;
  period_end: Date;
  used: number;
  cap: number | null;
  version: number;
  open: boolean;
  ended: boolean;
  reserve: number | null;
  credits: number | null;
};

/** The rows of these accounts in the period that starts then; those that are missing are left out. */
export async function readStandings(
  pool: Pool,
  accounts: readonly AccountId[],
  periodStart: Date,
): Promise<Standing[]> {
  const { rows } = await pool.query<Row>({ ...STANDINGS, values: [accounts, periodStart.toISOString()] });
  return rows.map((row) => ({
    accountId: row.account_id,
    masterId: row.master_id,
    periodStart,
    periodEnd: row.period_end,
    used: row.used,
    cap: row.cap,
    version: row.version,
    open: row.open,
    ended: row.ended,
    ...(row.reserve === null ? {} : { reserve: row.reserve }),
    ...(row.credits === null ? {} : { credits: row.credits }),
  }));
}

export type Standings = Readonly<{ subaccount: Standing; master: Standing }>;

/** Both rows of a charge. An account that has not sent in the period gets its row here. Undefined: no such account. */
export async function standingsOf(pool: Pool, charge: Charge): Promise<Standings | undefined> {
  const { subaccountId, masterId, period } = charge;
  const accounts = [subaccountId, masterId];
  const find = (rows: readonly Standing[], id: AccountId) => rows.find((row) => row.accountId === id);
  let rows = await readStandings(pool, accounts, period.start);
  if (rows.length < accounts.length) {
    for (const id of accounts) {
      if (find(rows, id) === undefined) await openUsage(pool, id, charge);
    }
    rows = await readStandings(pool, accounts, period.start);
  }
  const subaccount = find(rows, subaccountId);
  const master = find(rows, masterId);
  return subaccount === undefined || master === undefined ? undefined : { subaccount, master };
}

/** In a statement of its own: it waits for a change of the account that is under way. */
async function openUsage(pool: Pool, accountId: AccountId, { period }: Charge): Promise<void> {
  await pool.query("select open_usage($1, $2, $3)", [accountId, period.start.toISOString(), period.end.toISOString()]);
}
