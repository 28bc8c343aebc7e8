/**
 * What was refused, counted per minute, subaccount and reason, with one sample. Refusals are shown; they are never billed.
 *
 * Invariant: memory is bounded: at most `maxCounters` counters wait to be written; beyond that the refusals of new ones
 * are only counted as lost, and that is logged. Each counted refusal is written once.
 * On failure of the database: the counters wait for the next flush; a flush whose result is unknown may count twice.
 */
import type { Pool } from "pg";
import type { Clock } from "../platform/clock.ts";
import { type EventId, type MasterId, newId, type SubaccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Period } from "./period.ts";

export const refusalReasons = [
  "quota-subaccount",
  "quota-master",
  "account", // closed, disabled, suspended, expired
  "sender", // sender domain not verified
  "size",
  "recipients",
  "content", // malformed message, loop
  "rate",
] as const;
export type RefusalReason = (typeof refusalReasons)[number];

export type Refusal = Readonly<{
  masterId: MasterId;
  subaccountId: SubaccountId;
  period: Period;
  reason: RefusalReason;
  /** Recipients of the refused message; 0 where it was refused before they were known. */
  units: number;
  sample?: Readonly<{ from?: string; recipient?: string; clientAddress?: string; detail?: string }>;
}>;

export type RefusalRecorder = AsyncDisposable &
  Readonly<{
    /** Counts in memory; never throws, never waits. */
    refused(refusal: Refusal): void;
    /** Writes what has been counted so far. Rejects when that failed; nothing is lost then. */
    flush(): Promise<void>;
  }>;

export type RefusalRecorderDeps = Readonly<{
  pool: Pool;
  clock: Clock;
  log: Log;
  flushMs?: number;
  maxCounters?: number;
}>;

type Account = Readonly<{ id: SubaccountId | MasterId; period: Period }>;
type Counter = Readonly<{ id: EventId; minute: Date; first: Refusal }> & { messages: number; units: number };

const MINUTE_MS = 60_000;

export function createRefusalRecorder(deps: RefusalRecorderDeps): RefusalRecorder {
  const { pool, clock, log, flushMs = 1000, maxCounters = 20_000 } = deps;
  let waiting = new Map<string, Counter>();
  const unalerted = new Map<string, Account>();
  let lost = 0;
  let flushing: Promise<void> | undefined;

  function add(key: string, counter: Counter): void {
    const known = waiting.get(key);
    if (known !== undefined) {
      known.messages += counter.messages;
      known.units += counter.units;
    } else if (waiting.size < maxCounters) waiting.set(key, counter);
    else lost += counter.messages;
  }

  async function write(): Promise<void> {
    const taken = waiting;
    waiting = new Map();
    if (lost > 0) log.warn({ event: "refusals.lost", messages: lost });
    lost = 0;
    try {
      if (taken.size > 0) await writeCounters(pool, [...taken.values()]);
    } catch (error) {
      for (const [key, counter] of taken) add(key, counter);
      throw error;
    }
    for (const { first } of taken.values()) {
      const over = accountOver(first);
      if (over !== undefined) unalerted.set(`${over.id} ${over.period.start.getTime()}`, over);
    }
    await alertAccounts(pool, unalerted);
  }

  async function flush(): Promise<void> {
    while (flushing !== undefined) await flushing.catch(() => {});
    flushing = write();
    try {
      await flushing;
    } finally {
      flushing = undefined;
    }
  }

  const logged = (error: unknown) => log.warn({ event: "refusals.unwritten", error: String(error) });
  const timer = setInterval(() => void flush().catch(logged), flushMs);
  timer.unref();

  return {
    refused(refusal) {
      const minute = new Date(Math.floor(clock.now().getTime() / MINUTE_MS) * MINUTE_MS);
      const key = `${refusal.subaccountId} ${minute.getTime()} ${refusal.reason}`;
      add(key, { id: newId<EventId>(clock), minute, first: refusal, messages: 1, units: refusal.units });
    },
    flush,
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await flush().catch(logged);
    },
  };
}

// In the order of the key: two processes that write the same counters don't lock each other out.
const WRITE = `
insert into refusal (subaccount_id, minute, reason, master_id, period_start, messages, units, sample, id)
select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::uuid[], $5::timestamptz[], $6::bigint[], $7::bigint[], $8::jsonb[], $9::uuid[])
 order by 1, 2, 3
on conflict (subaccount_id, minute, reason) do update
   set messages = refusal.messages + excluded.messages, units = refusal.units + excluded.units`;

async function writeCounters(pool: Pool, counters: readonly Counter[]): Promise<void> {
  await pool.query(WRITE, [
    counters.map((c) => c.first.subaccountId),
    counters.map((c) => c.minute.toISOString()),
    counters.map((c) => c.first.reason),
    counters.map((c) => c.first.masterId),
    counters.map((c) => c.first.period.start.toISOString()),
    counters.map((c) => c.messages),
    counters.map((c) => c.units),
    counters.map((c) => JSON.stringify(sampleOf(c.first))),
    counters.map((c) => c.id),
  ]);
}

/** What came from outside, cut to a bounded length and without what jsonb can't hold. */
function sampleOf({ sample = {}, units }: Refusal): Record<string, string | number> {
  const shown: Record<string, string | number> = { units };
  const members = {
    from: sample.from,
    recipient: sample.recipient,
    client_address: sample.clientAddress,
    detail: sample.detail,
  };
  for (const [name, value] of Object.entries(members)) {
    if (value !== undefined) shown[name] = value.replaceAll("\0", "").toWellFormed().slice(0, 320);
  }
  return shown;
}

// An account without a row for the period (limit 0, nothing ever sent) gets one, so that it can be alerted.
const OPEN = "select open_usage($1, $2, $3)";
const BELOW =
  "select alert_level < refusal_level(cap, base) as below from usage where account_id = $1 and period_start = $2";
const ALERT = "select alert_refusal($1, $2)";

/** The account whose limit a refusal met. */
function accountOver({ reason, period, subaccountId, masterId }: Refusal): Account | undefined {
  if (reason === "quota-subaccount") return { id: subaccountId, period };
  return reason === "quota-master" ? { id: masterId, period } : undefined;
}

/** The first quota refusal of a period and limit alerts like the level that stops. Whether it is the first is decided under the row's lock. */
async function alertAccounts(pool: Pool, unalerted: Map<string, Account>): Promise<void> {
  for (const [key, { id, period }] of unalerted) {
    const row = [id, period.start.toISOString()];
    const { rows } = await pool.query<{ below: boolean }>(BELOW, row);
    if (rows.length === 0) await pool.query(OPEN, [...row, period.end.toISOString()]);
    if (rows[0]?.below !== false) await pool.query(ALERT, row);
    unalerted.delete(key);
  }
}
