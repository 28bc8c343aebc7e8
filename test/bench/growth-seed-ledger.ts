/**
 * A month's ledger: entries of all its days but today, whose messages have been purged long ago. On the first of a month
 * those of messages whose upload began the day before.
 */
import type { Pool } from "pg";
import { countUp, type Say, subaccountId, tags } from "./growth-seed.ts";

const DAY_MS = 86_400_000;

/**
 * `entries` of 1 to 3 units, spread evenly over the days before today and over subaccounts 1 to `customers`. Days are loaded
 * before they have indexes, two at a time; attaching them builds those.
 */
export async function seedLedger(
  pool: Pool,
  { masterId, customers, entries }: Readonly<{ masterId: string; customers: number; entries: number }>,
  say: Say,
): Promise<void> {
  const now = new Date();
  const days = Math.max(now.getUTCDate() - 1, 1);
  const first = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() - days);
  let done = 0;
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let day = next++; day < days; day = next++) {
      const from = Math.floor((entries * day) / days);
      const to = Math.floor((entries * (day + 1)) / days);
      await loadDay(pool, { masterId, customers, startMs: first + day * DAY_MS, from, count: to - from });
      done += to - from;
      say(`ledger: ${done.toLocaleString("en-US")} of ${entries.toLocaleString("en-US")} entries`);
    }
  };
  await Promise.all([worker(), worker()]);
  say("ledger: counting up");
  await countUp(pool);
  await pool.query("analyze usage_entry");
}

type Day = Readonly<{ masterId: string; customers: number; startMs: number; from: number; count: number }>;

async function loadDay(pool: Pool, { masterId, customers, startMs, from, count }: Day): Promise<void> {
  const name = `usage_entry_${new Date(startMs).toISOString().slice(0, 10).replaceAll("-", "")}`;
  const client = await pool.connect();
  try {
    await client.query("set synchronous_commit = off; set statement_timeout = 0");
    // Yesterday has its (empty) day already.
    await client.query(`drop table if exists ${name}`);
    await client.query(`create table ${name} (like usage_entry including defaults including constraints)`);
    await client.query(
      `insert into ${name} (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
       select bench.id($2::bigint + n * ${DAY_MS - 1000} / $4::bigint, ${tags.entry}, $3::bigint + n), $1::uuid,
              ${subaccountId("(($3::bigint + n) * 7919) % $5::bigint + 1")}, p.starts, 1 + (n % 3), 'accept',
              greatest(p.starts, to_timestamp(($2::bigint + n * ${DAY_MS - 1000} / $4::bigint) / 1000.0))
         from bench.period() p, generate_series(0, $4::bigint - 1) n`,
      [masterId, startMs, from, count, customers],
    );
    await client.query(`alter table usage_entry attach partition ${name} for values
      from (uuid_at(to_timestamp(${startMs / 1000}))) to (uuid_at(to_timestamp(${(startMs + DAY_MS) / 1000})))`);
    await client.query(`vacuum (analyze) ${name}`);
    await dropMessages(pool, name.slice(-8));
  } finally {
    client.release(true);
  }
}

/** As purge does; else `ledger verify` would miss the messages of a day that it takes for kept. */
async function dropMessages(pool: Pool, day: string): Promise<void> {
  for (const parent of ["message", "body", "recipient"]) await pool.query(`drop table if exists ${parent}_${day}`);
}
