/** The door as tests of the quota knock at it: accept_batch called directly, one call for what is given. */
import type { Pool } from "pg";
import { type Period, periodAt } from "../../src/metering/period.ts";
import type { Database } from "../../src/platform/database.ts";
import type { AccountId } from "../../src/platform/ids.ts";
import { ACCEPT, encodeBatch } from "../../src/spool/batch.ts";
import type { Submission } from "../../src/spool/message.ts";
import type { TestDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { submissionOf, utcMonths } from "../support/submission.ts";

export const verdicts = [
  "accepted",
  "subaccount",
  "master",
  "closed",
  "after",
  "before",
  "voided",
  "rate",
  "reserved",
] as const;

export type Knock = Readonly<{
  verdicts: (typeof verdicts)[number][];
  /** By account id, of the rows of this batch after the call. */
  rows: ReadonlyMap<AccountId, { used: number; cap: number | null; version: number }>;
}>;

type Row = { verdict: number[]; k_used: number[]; k_cap: (number | null)[]; k_version: number[] };

/** @param call the name of another copy of the function */
export async function knock(pool: Pool, submissions: readonly Submission[], call = "accept_batch"): Promise<Knock> {
  const holder = { owner: 1, leaseMs: 60_000, lifetimeMs: 86_400_000 };
  const lease = submissions.map(() => true);
  const { keys, values, bodies } = encodeBatch(submissions, lease, holder);
  const text = ACCEPT.text.replace("accept_batch(", `${call}(`);
  const { rows } = await pool.query<Row>(text, [...values, Buffer.concat(bodies)]);
  const row = rows[0] as Row;
  return {
    verdicts: row.verdict.map((v) => verdicts[v] as (typeof verdicts)[number]),
    rows: new Map(
      keys.map(({ accountId }, i) => [
        accountId,
        { used: row.k_used[i] as number, cap: row.k_cap[i] as number | null, version: row.k_version[i] as number },
      ]),
    ),
  };
}

export const thisMonth = ({ clock }: TestDatabase): Period => periodAt(utcMonths, clock.now());

/** Opens the usage rows of an account and its master. */
export async function openRows({ pool }: Database, account: Account, { start, end }: Period): Promise<void> {
  for (const id of [account.masterId, account.subaccountId]) {
    await pool.query("select open_usage($1, $2, $3)", [id, start, end]);
  }
}

/** A message of that many units. */
export function messageOf(account: Account, units = 1, told: Parameters<typeof submissionOf>[1] = {}): Submission {
  return submissionOf(account, { recipients: Array.from({ length: units }, (_, i) => `r${i}@example.net`), ...told });
}

/** Makes another accept_batch, changed by a text that must be there. */
export async function mutate(
  pool: Pool,
  name: string,
  from: string | RegExp,
  to: string,
  of = "accept_batch",
): Promise<void> {
  const { rows } = await pool.query<{ source: string }>("select pg_get_functiondef($1::regproc) as source", [of]);
  const source = rows[0]?.source ?? "";
  const changed = source.replace(from, to);
  if (changed === source) throw new Error(`${of} has no ${String(from)}`);
  await pool.query(changed.replace(`FUNCTION public.${of}(`, `FUNCTION public.${name}(`));
}

/** Ledger and rows, which must agree: a list of what does not. */
export async function disagreements({ pool }: Database): Promise<unknown[]> {
  const { rows } = await pool.query(
    `select u.account_id, u.used, u.cap, coalesce(l.units, 0) as ledger from usage u left join lateral (
       select sum(e.units)::bigint as units from usage_entry e
        where e.kind = 'accept' and e.period_start = u.period_start and u.account_id in (e.subaccount_id, e.master_id)) l on true
      where u.used <> coalesce(l.units, 0)`,
  );
  return rows;
}

/** From now on the database's clock stands where it is told, in seconds since 1970. */
export async function standingClock({ pool }: Database): Promise<(seconds: number) => Promise<void>> {
  await pool.query("create table standing_clock as select pm_now() as now");
  await pool.query(
    "create or replace function pm_now() returns timestamptz language sql volatile as 'select now from standing_clock'",
  );
  return async (seconds) => void (await pool.query("update standing_clock set now = to_timestamp($1)", [seconds]));
}
