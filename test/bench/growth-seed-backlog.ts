/** A queue full of messages that the sink will know: stored, charged and waiting like any that were accepted. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import { findDigits } from "./bench-id.ts";
import { inSlices, type Say, tags } from "./growth-seed.ts";
import { createTemplate } from "./message.ts";

export type Backlog = Readonly<{
  masterId: string;
  subaccountId: string;
  run: number; // sequence numbers 1 to count
  count: number;
  sizeBytes: number;
  due: "now" | "tomorrow";
}>;

const addMessages = `
with p as (select * from bench.period()), made as (
  select bench.id($3, ${tags.message}, $4::bigint * 100000000 + n) as id, n from generate_series($5::bigint, $6::bigint) n
), facts as (
  insert into message (id, subaccount_id, master_id, kind, sender, units, size_bytes, header_from, header_message_id, subject, accepted_at)
  select id, $1, $2, 'submitted', 'app@bench.example', 1, length($7::bytea), 'app@bench.example', n || '@bench.example',
         'A message of the bench', to_timestamp($3 / 1000.0) from made
), bytes as (
  insert into body select id, 0, overlay($7::bytea placing convert_to(lpad(n::text, 8, '0'), 'UTF8') from $8::int) from made
), readers as (
  insert into recipient (message_id, n, address) select id, 0, 'reader@dest.example' from made
), charges as (
  insert into usage_entry (id, master_id, subaccount_id, period_start, units, kind, accepted_at)
  select id, $2, $1, p.starts, 1, 'accept', to_timestamp($3 / 1000.0) from made, p
)
insert into queue (message_id, subaccount_id, due_at, expires_at)
select id, $1, pm_now() + $9::interval, pm_now() + interval '5 days' from made`;

const charge = `
insert into usage (account_id, period_start, period_end, master_id, used, cap, base, top_up, open, open_until, thresholds)
select a.id, p.starts, p.ends, t.master_id, $2, t.cap, t.base, t.top_up, t.open, t.open_until, t.thresholds
  from unnest($1::uuid[]) a(id), bench.period() p, usage_terms(a.id, p.starts) t order by 1
on conflict (account_id, period_start) do update set used = usage.used + excluded.used, version = usage.version + 1`;

export async function seedBacklog(pool: Pool, backlog: Backlog, say: Say): Promise<void> {
  const { masterId, subaccountId, run, count, sizeBytes, due } = backlog;
  const bytes = Buffer.concat(createTemplate(run, sizeBytes).pieces);
  const stored = bytes.subarray(0, bytes.length - ".\r\n".length);
  const digitsAt = findDigits(stored) + 4 + 1; // SQL counts from 1
  const wait = due === "now" ? "0" : "1 day";
  await inSlices(pool, { what: `queue, run ${run}`, count, slice: 10_000, say }, async (client, from, to) => {
    const nowMs = Date.now();
    await client.query(addMessages, [subaccountId, masterId, nowMs, run, from, to, stored, digitsAt, wait]);
    await client.query(charge, [[subaccountId, masterId], to - from + 1]);
  });
  await pool.query("analyze queue, message, recipient");
}

export async function hold(pool: Pool, subaccountId: string): Promise<void> {
  await pool.query("insert into hold values ($1, pm_now()) on conflict do nothing", [subaccountId]);
}

export async function release(pool: Pool, subaccountId: string): Promise<void> {
  await pool.query("delete from hold where subaccount_id = $1", [subaccountId]);
}

/** The write-ahead log of a bulk load is behind us before anything is measured. */
export async function settleDown(pool: Pool, say: Say): Promise<void> {
  say("checkpoint");
  await pool.query("checkpoint");
  await sleep(2000);
}
