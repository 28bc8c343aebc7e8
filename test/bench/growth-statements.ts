/** A month's end: the statements of thousands of masters are due at once, beside those who go on sending. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { Figure, Found } from "./growth-figures.ts";
import { prepare, type Say, seedMasters, tags } from "./growth-seed.ts";
import { settleDown } from "./growth-seed-backlog.ts";
import { bookProblems, type Ground, middleOf, oneRound, problemsOf } from "./growth-stage.ts";
import type { Round } from "./round.ts";

/** Each master's own sending of the month before. */
const entriesEach = 10;
/** The job runs each minute. */
const patienceMs = 120_000;

export async function statementsGrowth(ground: Ground): Promise<Found> {
  const { options, say } = ground;
  await using stage = await ground.open();
  const { pool } = stage;
  await prepare(pool);
  await seedMasters(pool, options.masters, say);
  await seedMonthBefore(pool, say);
  await settleDown(pool, say);
  const rounds = new Map<string, Round[]>([
    ["alone", []],
    ["beside", []],
  ]);
  const send = async (name: "alone" | "beside") => {
    say(
      name === "alone" ? "mail alone" : `mail beside the closing: ${await closed(pool)} of ${options.masters} closed`,
    );
    rounds.get(name)!.push(await oneRound(ground, { name, stage }));
  };
  await oneRound(ground, { name: "warm", stage });
  for (let n = 0; n < options.rounds; n++) await send("alone");
  const before = await closed(pool);
  await makeDue(pool);
  await until(async () => (await closed(pool)) > before, say);
  const started = performance.now();
  for (let n = 0; n < options.rounds || (await closed(pool)) < before + options.masters; n++) {
    if (performance.now() - started > 3_600_000) throw new Error("an hour was not enough to close them");
    if (n < options.rounds * 4) await send("beside");
    else await sleep(500);
  }
  const seconds = (performance.now() - started) / 1000;
  for (let n = 0; n < options.rounds; n++) await send("alone");
  const rate = (name: string): number => middleOf(rounds.get(name), (round) => round.deliveredPerSecond);
  const p99 = (name: string): number => middleOf(rounds.get(name), (round) => round.mail.p99);
  const note = `${rate("beside").toFixed(0)} and ${rate("alone").toFixed(0)}/s`;
  const figures: Figure[] = [
    {
      what: "delivered while statements close, over alone",
      seen: rate("beside") / rate("alone"),
      unit: "x",
      goal: { atLeast: 0.9 },
      note,
    },
    { what: "p99 of a message meanwhile, over alone", seen: p99("beside") / p99("alone"), unit: "x", goal: null },
    { what: `closing ${options.masters.toLocaleString("en-US")} masters`, seen: seconds, unit: "s", goal: null },
  ];
  return { figures, curves: [], problems: [...problemsOf(rounds), ...(await bookProblems("statements", stage))] };
}

async function closed(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ n: number }>("select count(*)::int as n from statement");
  return rows[0]!.n;
}

async function until(done: () => Promise<boolean>, say: Say): Promise<void> {
  const started = performance.now();
  while (!(await done())) {
    if (performance.now() - started > patienceMs) throw new Error("the job did not begin to close statements");
    say("waiting for the job");
    await sleep(200);
  }
}

/** Entries of the last day of the month before, whose messages are purged, and the counters over them. */
async function seedMonthBefore(pool: Pool, say: Say): Promise<void> {
  say("the month before");
  const client = await pool.connect();
  try {
    await client.query("set synchronous_commit = off; set statement_timeout = 0");
    const { rows } = await client.query<{ day: string; name: string }>(
      "select (p.starts - interval '1 day')::date::text as day, to_char(p.starts - interval '1 day', 'YYYYMMDD') as name from bench.period() p",
    );
    const { day, name } = rows[0]!;
    await client.query("select ensure_partitions($1::date, 1)", [day]);
    await client.query(
      `insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
       select bench.id((extract(epoch from $1::timestamptz) * 1000)::bigint + n * 1000, ${tags.entry}, m.row * 100 + n), m.id, m.own_subaccount_id,
              p.starts - interval '1 month', 1, 'accept', $1::timestamptz + n * interval '1 second'
         from bench.period() p, (select *, row_number() over (order by id) as row from master where name like 'Reseller %') m,
              generate_series(1, ${entriesEach}) n`,
      [`${day}T12:00:00Z`],
    );
    await client.query(
      `insert into usage (account_id, period_start, period_end, master_id, used, cap, base, top_up, open, open_until, thresholds)
       select a.id, p.starts - interval '1 month', p.starts, t.master_id, ${entriesEach}, t.cap, t.base, t.top_up, t.open, t.open_until, t.thresholds
         from (select id from master where name like 'Reseller %' union all select own_subaccount_id from master where name like 'Reseller %') a,
              bench.period() p, usage_terms(a.id, p.starts - interval '1 month') t`,
    );
    await client.query(
      "insert into statement_due select id, 'infinity' from master where name like 'Reseller %'", // the job leaves them alone until then
    );
    for (const parent of ["message", "body", "recipient"]) await client.query(`drop table if exists ${parent}_${name}`);
    await client.query("analyze usage, usage_entry");
  } finally {
    client.release(true);
  }
}

/** As the hour after midnight does it to all at once. */
async function makeDue(pool: Pool): Promise<void> {
  await pool.query("delete from statement_due where due_at = 'infinity'");
}
