/**
 * The counters in Redis: one hash for each master and period, in one slot of a cluster, gone some time after the period.
 *
 * Invariant: nothing here is needed to be right; a counter exists only after `publish` has set it from a usage row.
 * On failure: throws what ioredis throws. Whether a script that timed out has counted is not known.
 */
import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Redis } from "ioredis";
import type { AccountId, MasterId } from "../platform/ids.ts";
import type { Charge, Guard, Standing } from "./gate.ts";

/** Counters outlive their period, for releases and for nodes whose clock is behind. */
const AFTERLIFE_MS = 3_600_000;
/** Charges in one command, so that no command holds up the others of Redis. */
const MOST_AT_ONCE = 100;

/** `counted`, `plenty` (counted, and far from full), `missing` (cold), `rate` (a window is full), or what was seen of both when one was full. */
export type Counted = "counted" | "plenty" | "missing" | "rate" | Readonly<{ subaccount: string; master: string }>;

/** `seen`: the counter is replaced also at the same version if it still is what was seen: "used/version". */
export type Publication = Readonly<{ standing: Standing; seen?: string }>;

export type Counter = Readonly<{ used: number; cap: number | null; version: number; seen: string }>;

export interface Counters {
  reserve(charge: Charge): Promise<Counted>;
  release(charge: Charge): Promise<void>;
  /** Of one master and period. Returns how many were taken over. */
  publish(publications: readonly Publication[]): Promise<number>;
  /** All readable counters of a master and period; empty when they are cold or no hash. */
  read(masterId: MasterId, periodStart: Date): Promise<ReadonlyMap<AccountId, Counter>>;
  /** Can commands be sent? */
  ready(): boolean;
  /** Another one after the way to Redis was lost: what stands there may be another image, or another server. */
  connection(): object;
  /** Fails unless scripts can write. */
  probe(): Promise<void>;
}

type Script = Readonly<{ text: string; sha: string }>;

export type Scripts = Readonly<{ reserve: Script; release: Script; publish: Script }>;

export function script(text: string): Script {
  return { text, sha: createHash("sha1").update(text).digest("hex") };
}

const read = (name: string) => script(readFileSync(new URL(name, import.meta.url), "utf8"));
export const scripts: Scripts = {
  reserve: read("reserve.lua"),
  release: read("release.lua"),
  publish: read("publish.lua"),
};

/** `offsetMs`: how far the program's clock is ahead of Redis's. */
export function createCounters(redis: Redis, offsetMs: number, { reserve, release, publish } = scripts): Counters {
  async function run({ text, sha }: Script, key: string | readonly string[], ...args: (string | number)[]) {
    const keys = typeof key === "string" ? [key] : key;
    try {
      return await redis.evalsha(sha, keys.length, ...keys, ...args);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      return redis.eval(text, keys.length, ...keys, ...args);
    }
  }

  return {
    reserve: together(async (key, charges) => {
      const { masterId } = charges[0] as Charge;
      const windows: string[] = [];
      const args = charges.flatMap(({ subaccountId, units, guard }) => [
        subaccountId,
        units,
        guard === undefined ? "" : guardText(masterId, guard, windows),
      ]);
      const now = windows.length === 0 ? 0 : Math.floor((Date.now() + offsetMs) / 1000);
      const answers = (await run(reserve, [key, ...windows], masterId, now, ...args)) as unknown[];
      return answers.map(countedOf);
    }),
    async release({ masterId, subaccountId, period, units }) {
      await run(release, keyOf(masterId, period.start), subaccountId, masterId, units);
    },
    async publish(publications) {
      const first = publications[0]?.standing;
      if (first === undefined) return 0;
      const expiresAt = first.periodEnd.getTime() - offsetMs + AFTERLIFE_MS;
      const args = publications.flatMap(({ standing, seen }) => {
        const { accountId, used, version } = standing;
        return [accountId, used, capOf(standing) ?? "*", version, seen ?? ""];
      });
      return Number(await run(publish, keyOf(first.masterId, first.periodStart), expiresAt, ...args));
    },
    async read(masterId, periodStart) {
      const key = keyOf(masterId, periodStart);
      return (await redis.type(key)) === "hash" ? parse(await redis.hgetall(key)) : new Map();
    },
    ready: () => redis.status === "ready",
    connection: () => redis.stream,
    async probe() {
      await run(publish, `pm:{${randomUUID()}}`, Date.now() + 10_000, "probe", 0, "*", 1, "");
    },
  };
}

/** Charges of one master and period that come in one turn of the event loop are one command: it costs as much as ten charges. */
function together(reserve: (key: string, charges: readonly Charge[]) => Promise<readonly Counted[]>) {
  type Asked = { charge: Charge; resolve: (counted: Counted) => void; reject: (error: unknown) => void };
  let waiting = new Map<string, Asked[]>();

  async function send(key: string, asked: readonly Asked[]): Promise<void> {
    try {
      const answers = await reserve(
        key,
        asked.map(({ charge }) => charge),
      );
      for (const [i, { resolve }] of asked.entries()) resolve(answers[i] as Counted);
    } catch (error) {
      for (const { reject } of asked) reject(error);
    }
  }

  function flush(): void {
    const groups = waiting;
    waiting = new Map();
    for (const [key, asked] of groups)
      for (let i = 0; i < asked.length; i += MOST_AT_ONCE) void send(key, asked.slice(i, i + MOST_AT_ONCE));
  }

  return (charge: Charge): Promise<Counted> =>
    new Promise((resolve, reject) => {
      const key = keyOf(charge.masterId, charge.period.start);
      if (waiting.size === 0) setImmediate(flush);
      const asked = waiting.get(key);
      if (asked === undefined) waiting.set(key, [{ charge, resolve, reject }]);
      else asked.push({ charge, resolve, reject });
    });
}

/** For reserve.lua: `kept;key,span,most;...`. The keys of the windows, in the slot of their master's counters, are added to `windows`. */
function guardText(masterId: MasterId, { reserve, transactional, rates }: Guard, windows: string[]): string {
  const numberOf = (key: string): number => {
    const at = windows.indexOf(key);
    return 2 + (at === -1 ? windows.push(key) - 1 : at);
  };
  const parts = rates.map(({ id, span, most }) => `${numberOf(`pm:{${masterId}}:w:${id}`)},${span},${most}`);
  return [transactional ? 0 : reserve, ...parts].join(";");
}

function countedOf(answer: unknown): Counted {
  if (answer === 0) return "counted";
  if (answer === 2) return "plenty";
  if (answer === 3) return "rate";
  if (!Array.isArray(answer)) return "missing";
  return { subaccount: String(answer[0]), master: String(answer[1]) };
}

function parse(fields: Readonly<Record<string, string>>): Map<AccountId, Counter> {
  const counters = new Map<AccountId, Counter>();
  for (const [name, used] of Object.entries(fields)) {
    const id = name.slice(1);
    const cap = fields[`c${id}`];
    const version = fields[`v${id}`] ?? "";
    if (!name.startsWith("u") || cap === undefined) continue;
    const counter = { used: Number(used), cap: cap === "*" ? null : Number(cap), version: Number(version) };
    counters.set(id as AccountId, { ...counter, seen: `${used}/${version}` });
  }
  return counters;
}

/** An account that may not send has no room: the gate then asks the rows, which say why. */
export function capOf(standing: Standing): number | null {
  return standing.open === false ? 0 : standing.cap;
}

function keyOf(masterId: MasterId, periodStart: Date): string {
  return `pm:{${masterId}}:${periodStart.getTime()}`;
}
