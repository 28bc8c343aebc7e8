/**
 * What must hold after whatever has happened (ARCHITECTURE.md, the four promises): what the clients saw, the ledger, the
 * counters, Redis, the API and the statement say the same, and each acknowledged message is delivered, queued or returned.
 *
 * Each fault found is one line of text; none: the books are right.
 */
import type { Redis } from "ioredis";
import { verifyLedger } from "../../src/metering/verify.ts";
import { createClock } from "../../src/platform/clock.ts";
import type { Database } from "../../src/platform/database.ts";
import type { AccountId, MasterId } from "../../src/platform/ids.ts";
import { redisReady } from "../../src/platform/redis.ts";
import { type Counters, createCounters } from "../../src/quota/counters.ts";
import { reconcile } from "../../src/quota/reconcile.ts";
import { type Charged, type Counter, readBounced, readCharged, readCounters, readUncharged } from "./ledger-rows.ts";
import { silentLog } from "./log.ts";
import type { Relay } from "./relay.ts";
import type { Sent } from "./sessions.ts";

/** One recipient of a marked message, as it came out at the other end. */
export type Arrival = Readonly<{ marker: string; recipient: string }>;

export type Books = Readonly<{
  database: Database;
  /** Asked for usage and statement. */
  relay: Pick<Relay, "call">;
  masters: readonly Readonly<{ masterId: string; masterKey: string }>[];
  /** Those whose API and Redis are asked; all unless told. */
  asked?: readonly string[];
  seen: readonly Sent[];
  arrived: readonly Arrival[];
  /** `exact`: it was neither lost nor away, so it is right as it is. Else it is reconciled first. */
  redis?: Readonly<{ client: Redis; exact: boolean }>;
}>;

export type Audit = Readonly<{
  faults: readonly string[];
  /** Charged, and the client had no reply. */
  inDoubt: number;
  /** Copies beyond the first, of one message to one recipient. */
  duplicates: number;
  units: number;
}>;

export async function audit(books: Books): Promise<Audit> {
  const { database, masters, seen, arrived } = books;
  const masterKeys = new Map(masters.map(({ masterId, masterKey }) => [masterId, masterKey]));
  const charged = await readCharged(database, [...masterKeys.keys()]);
  const counters = await readCounters(database, [...masterKeys.keys()]);
  const isAsked = ({ masterId }: Counter) => books.asked?.includes(masterId) ?? true;
  const faults = [
    ...seenAgainstLedger(seen, charged),
    ...(await readUncharged(database)).map((id) => `${id} is stored, but not charged`),
    ...ledgerAgainstCounters(charged, counters),
    ...countersAgainstCaps(counters),
    ...fates(charged, await readBounced(database), arrived),
    ...(await againstRedis(books, counters.filter(isAsked))),
    ...(await againstApi(books, masterKeys, counters.filter(isAsked))),
    ...(await verified(database)),
  ];
  const acknowledged = new Set(seen.filter((s) => s.knowledge === "accepted").map((s) => s.marker));
  return {
    faults,
    inDoubt: charged.filter(({ marker }) => !acknowledged.has(marker)).length,
    duplicates: arrived.length - new Set(arrived.map(keyOf)).size,
    units: charged.reduce((sum, { units }) => sum + units, 0),
  };
}

const keyOf = ({ marker, recipient }: Arrival) => `${marker} ${recipient}`;

/** Who was told 250 is charged once, who may have been is charged at most once, nobody else is. */
function seenAgainstLedger(seen: readonly Sent[], charged: readonly Charged[]): string[] {
  const faults: string[] = [];
  const byMarker = Map.groupBy(charged, ({ marker }) => marker);
  const known = new Set(seen.map(({ marker }) => marker));
  for (const { marker, id } of charged) if (!known.has(marker)) faults.push(`${id} is charged, but was not sent`);
  for (const { marker, knowledge, messageId, recipients, reply, subaccountId } of seen) {
    const entries = byMarker.get(marker) ?? [];
    const [entry] = entries;
    if (entries.length > 1) faults.push(`${marker} is charged ${entries.length} times`);
    if (entry === undefined) {
      if (knowledge === "accepted") faults.push(`${messageId} was acknowledged, but is not charged`);
      continue;
    }
    if (knowledge === "refused" || knowledge === "unsent")
      faults.push(`${entry.id} is charged, but was ${knowledge}: ${reply}`);
    if (knowledge === "accepted" && entry.id !== messageId)
      faults.push(`${messageId} was acknowledged, ${entry.id} charged`);
    if (entry.units !== recipients.length)
      faults.push(`${entry.id} has ${recipients.length} recipients, ${entry.units} units`);
    if (entry.subaccountId !== subaccountId) faults.push(`${entry.id} is charged to another`);
  }
  return faults;
}

const periodKey = (account: string, start: Date) => `${account} from ${start.toISOString()}`;

function sumsOf(charged: readonly Charged[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { masterId, subaccountId, periodStart, units } of charged) {
    for (const account of [masterId, subaccountId]) {
      const key = periodKey(account, periodStart);
      sums.set(key, (sums.get(key) ?? 0) + units);
    }
  }
  return sums;
}

function ledgerAgainstCounters(charged: readonly Charged[], counters: readonly Counter[]): string[] {
  const sums = sumsOf(charged);
  const faults: string[] = [];
  for (const { account, periodStart, used } of counters) {
    const key = periodKey(account, periodStart);
    const sum = sums.get(key) ?? 0;
    if (used !== sum) faults.push(`${key}: its counter says ${used}, the ledger ${sum}`);
    sums.delete(key);
  }
  for (const [key, sum] of sums) faults.push(`${key}: the ledger says ${sum}, and there is no counter`);
  return faults;
}

/** Where no limit was lowered below what was used. */
function countersAgainstCaps(counters: readonly Counter[]): string[] {
  return counters
    .filter(({ used, cap, lowered }) => cap !== null && used > cap && !lowered)
    .map(({ account, used, cap }) => `${account} has used ${used} of ${cap}`);
}

/** Delivered, queued or returned; and nothing delivered that is not charged. */
function fates(charged: readonly Charged[], returned: ReadonlySet<string>, arrived: readonly Arrival[]): string[] {
  const faults: string[] = [];
  const came = new Set(arrived.map(keyOf));
  const expected = new Set<string>();
  for (const { id, marker, queued, recipients } of charged) {
    for (const { address, state } of recipients) {
      const key = keyOf({ marker, recipient: address });
      expected.add(key);
      const open = state === "queued" || state === "deferred";
      if (open && !queued) faults.push(`${id} to ${address} is ${state}, but not in the queue: lost`);
      if (state === "delivered" && !came.has(key)) faults.push(`${id} to ${address} is delivered, but did not arrive`);
      if (!open && state !== "delivered" && came.has(key)) faults.push(`${id} to ${address} is ${state}, but arrived`);
    }
    if (recipients.length === 0) faults.push(`${id} has no recipients`);
    if (recipients.some(({ state }) => state === "bounced") && !returned.has(id))
      faults.push(`${id} bounced without a report`);
  }
  for (const key of came) if (!expected.has(key)) faults.push(`${key} arrived, but was not accepted`);
  return faults;
}

async function againstRedis({ database, redis }: Books, counters: readonly Counter[]): Promise<string[]> {
  if (redis === undefined) return [];
  await redisReady(redis.client, 10_000); // it may have been away
  const inRedis = createCounters(redis.client, database.clockOffsetMs);
  if (!redis.exact) {
    await reconcile({ database, gate: { counters: inRedis }, log: silentLog, which: "all", patienceMs: 300 });
  }
  const now = createClock(database.clockOffsetMs).now();
  const running = counters.filter(({ periodEnd }) => periodEnd > now);
  const { apart, cold } = await compareRedis(inRedis, running);
  return redis.exact ? [...apart, ...cold.map((account) => `${account} is not in Redis`)] : apart;
}

/** `apart`: Redis says something else than the row. `cold`: it knows nothing of the account, which is allowed. */
export async function compareRedis(inRedis: Counters, counters: readonly Counter[]) {
  const apart: string[] = [];
  const cold: string[] = [];
  for (const { rawId, rawMasterId, account, periodStart, used } of counters) {
    const counter = (await inRedis.read(rawMasterId as MasterId, periodStart)).get(rawId as AccountId);
    if (counter === undefined) cold.push(account);
    else if (counter.used !== used) apart.push(`${account}: Redis says ${counter.used}, its row ${used}`);
  }
  return { apart, cold };
}

async function againstApi(
  { relay, database }: Books,
  masterKeys: ReadonlyMap<string, string>,
  counters: readonly Counter[],
): Promise<string[]> {
  const faults: string[] = [];
  const now = createClock(database.clockOffsetMs).now();
  for (const accounts of Map.groupBy(counters, (c) => periodKey(c.masterId, c.periodStart)).values()) {
    const { masterId, periodEnd, periodDate: date } = accounts[0]!;
    const ask = async (path: string) => {
      const key = masterKeys.get(masterId) ?? "";
      return (await relay.call("GET", path, undefined, { key })).body ?? {};
    };
    const statement = await ask(`/v1/statements/${periodEnd > now ? "current" : date}`);
    const lines: { subaccount_id: string; units: number }[] = statement.lines ?? [];
    for (const { account, used } of accounts) {
      const isMaster = account === masterId;
      const usage = await ask(`${isMaster ? "/v1/usage" : `/v1/subaccounts/${account}/usage`}?period=${date}`);
      if (usage.used !== used) faults.push(`the usage of ${account} says ${usage.used}, the counter ${used}`);
      const stated = isMaster ? statement.units : (lines.find((line) => line.subaccount_id === account)?.units ?? 0);
      if (stated !== used) faults.push(`the statement of ${account} says ${stated}, the counter ${used}`);
    }
  }
  return faults;
}

async function verified(database: Database): Promise<string[]> {
  const report = await verifyLedger(database.db, createClock(database.clockOffsetMs));
  return report.differences.map(({ check, subject, detail }) => `ledger verify, ${check}: ${subject} ${detail}`);
}
