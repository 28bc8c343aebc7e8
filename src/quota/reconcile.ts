/**
 * Brings the counters in Redis back to the usage rows where they differ for good.
 *
 * Two readings tell a lasting difference from mail that is under way: what the rows had before, and Redis lacks now, is
 * missing in Redis; what Redis had before, and the rows still lack after `patienceMs`, was never stored.
 * Invariant: nothing here is needed to be right; it saves the gate's questions and the door's refusals.
 * On failure: throws what Postgres or Redis throws; the next run begins anew.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { Database } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import type { AccountId, MasterId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { type Counter, type Counters, capOf } from "./counters.ts";
import type { ProcessGate } from "./create-gate.ts";
import type { Standing } from "./gate.ts";
import { type PeriodOfMaster, readMasters, readStandingsOf } from "./standings-of-master.ts";

/** An account whose counter was wrong and has been set right. used, cap: what its row says. */
export type Drift = Readonly<{
  accountId: AccountId;
  masterId: MasterId;
  periodStart: Date;
  redisUsed: number;
  used: number;
  redisCap: number | null;
  cap: number | null;
}>;

export type ReconcileDeps = Readonly<{
  database: Pick<Database, "pool">;
  gate: Pick<ProcessGate, "counters">;
  metrics?: Pick<Metrics, "drift">;
  log: Log;
  /** `active`: masters whose rows have changed since this process looked last; all, if Redis was lost since. */
  which?: "active" | "all";
  /** Longer than any message takes from the gate to the commit. */
  patienceMs?: number;
}>;

const CHUNK = 200;

/** What masters looked like at the last run, by the connection over which their counters were read. */
const lookedAt = new WeakMap<object, Map<MasterId, number>>();

/** Without Redis there is nothing to compare, and nothing wrong. */
export async function reconcile(deps: ReconcileDeps): Promise<Drift[]> {
  const { database, gate, metrics, log, which = "active", patienceMs = 3000 } = deps;
  const { pool } = database;
  const { counters } = gate;
  if (counters === undefined) return [];
  if (!counters.ready()) {
    if (which === "active") return [];
    throw new Fault("unavailable", "Redis can't be reached: there is nothing to compare.");
  }
  const connection = counters.connection();
  const versions = lookedAt.get(connection) ?? new Map<MasterId, number>();
  lookedAt.set(connection, versions);
  const masters: PeriodOfMaster[] = [];
  for await (const page of readMasters(pool)) {
    masters.push(...page.filter((m) => which === "all" || versions.get(m.masterId) !== m.version));
  }
  const drifts = await correctAll(counters, pool, masters, patienceMs);
  for (const { masterId, version } of masters) versions.set(masterId, version);
  metrics?.drift.set(Math.max(0, ...drifts.map((drift) => Math.abs(drift.redisUsed - drift.used))));
  if (drifts.length > 0) log.info({ event: "quota.reconciled", accounts: drifts.length }, "Redis was set right");
  return drifts;
}

async function correctAll(
  counters: Counters,
  pool: Pool,
  masters: readonly PeriodOfMaster[],
  patienceMs: number,
): Promise<Drift[]> {
  const suspects: Suspect[] = [];
  for (const master of masters) {
    const before = await compare(counters, pool, master);
    if (before.size > 0) suspects.push({ master, before });
  }
  if (suspects.length > 0) await sleep(patienceMs);
  const drifts: Drift[] = [];
  for (const suspect of suspects) drifts.push(...(await correct(counters, pool, suspect)));
  return drifts;
}

type Difference = Readonly<{ standing: Standing; counter: Counter }>;
type Suspect = Readonly<{ master: PeriodOfMaster; before: ReadonlyMap<AccountId, Difference> }>;

/** Accounts whose counter is not what their row says. Cold ones are filled when they are asked for. */
async function compare(counters: Counters, pool: Pool, master: PeriodOfMaster): Promise<Map<AccountId, Difference>> {
  const { masterId, periodStart } = master;
  const differences = new Map<AccountId, Difference>();
  const found = await counters.read(masterId, periodStart);
  if (found.size === 0) return differences;
  for await (const page of readStandingsOf(pool, master)) {
    for (const standing of page) {
      const counter = found.get(standing.accountId);
      if (counter === undefined) continue;
      if (counter.used === standing.used && counter.cap === capOf(standing)) continue;
      differences.set(standing.accountId, { standing, counter });
    }
  }
  return differences;
}

async function correct(counters: Counters, pool: Pool, { master, before }: Suspect): Promise<Drift[]> {
  const now = await compare(counters, pool, master);
  const lasting = [...now].flatMap(([id, { standing, counter }]) => {
    const first = before.get(id);
    return first !== undefined && lasts(first, { standing, counter }) ? [{ standing, counter }] : [];
  });
  for (let i = 0; i < lasting.length; i += CHUNK) {
    await counters.publish(
      lasting.slice(i, i + CHUNK).map(({ standing, counter }) => ({ standing, seen: counter.seen })),
    );
  }
  return lasting.map(({ standing, counter }) => ({
    accountId: standing.accountId,
    masterId: standing.masterId,
    periodStart: standing.periodStart,
    redisUsed: counter.used,
    used: standing.used,
    redisCap: counter.cap,
    cap: capOf(standing),
  }));
}

function lasts(before: Difference, now: Difference): boolean {
  const missing = before.standing.used > now.counter.used;
  const neverStored = before.counter.used > now.standing.used;
  return missing || neverStored || now.counter.cap !== capOf(now.standing);
}
