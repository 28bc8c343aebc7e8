/**
 * A cache of rows read a moment ago, for the hot path.
 *
 * Invariant: a value is given out at most `ttlMs` after it was read, never after a change that concerns it has been heard
 * of, and not at all while changes can't be heard. Misses are not kept. At most `max` values, the oldest go first.
 */
import { performance } from "node:perf_hooks";
import { type AccountChanges, type Change, leavesAccounts } from "./changes.ts";

/** What memory mostly knows: an answer at once costs a tenth of one that a promise brings. */
export type Soon<T> = T | Promise<T>;

/** What `use` makes of it, at once where it is there. */
export function whenKnown<T, U>(soon: Soon<T>, use: (value: T) => U): Soon<U> {
  return soon instanceof Promise ? soon.then(use) : use(soon);
}

export type Recent<V> = Readonly<{
  /** What is known without asking the database. */
  peek(key: string): V | undefined;
  /** Asks the database; calls for one key at a time share the answer. */
  load(key: string): Promise<V | undefined>;
  /** peek, else load. */
  get(key: string): Soon<V | undefined>;
}>;

export type RecentOptions<V> = Readonly<{
  changes: Pick<AccountChanges, "heard" | "count" | "subscribe">;
  read(key: string): Promise<V | undefined>;
  concerns(change: Change, value: V, key: string): boolean;
  ttlMs?: number;
  max?: number;
  /** Milliseconds, monotonic. */
  nowMs?: () => number;
}>;

const TTL_MS = 5000;
const MAX = 50_000;

type Entry<V> = Readonly<{ value: V; untilMs: number }>;

export function createRecent<V>(options: RecentOptions<V>): Recent<V> {
  const { changes, read, concerns, ttlMs = TTL_MS, max = MAX, nowMs = () => performance.now() } = options;
  const entries = new Map<string, Entry<V>>();
  const loading = new Map<string, Readonly<{ count: number; answer: Promise<V | undefined> }>>();

  changes.subscribe((change) => {
    if (change.kind === "everything") return entries.clear();
    if (leavesAccounts(change)) return;
    for (const [key, { value }] of entries) if (concerns(change, value, key)) entries.delete(key);
  });

  const peek = (key: string) => {
    const entry = entries.get(key);
    if (entry === undefined || !changes.heard()) return undefined;
    if (nowMs() < entry.untilMs) return entry.value;
    entries.delete(key);
    return undefined;
  };

  const keep = (key: string, value: V, untilMs: number) => {
    entries.delete(key);
    entries.set(key, { value, untilMs });
    for (const oldest of entries.keys()) {
      if (entries.size <= max) break;
      entries.delete(oldest);
    }
  };

  const load = (key: string) => {
    const count = changes.count();
    const running = loading.get(key);
    if (running?.count === count && changes.heard()) return running.answer;
    const untilMs = nowMs() + ttlMs;
    const answer = read(key).then((value) => {
      // A change heard of meanwhile may concern what was read before it.
      if (value !== undefined && changes.heard() && changes.count() === count) keep(key, value, untilMs);
      return value;
    });
    const mine = { count, answer };
    loading.set(key, mine);
    const done = () => {
      if (loading.get(key) === mine) loading.delete(key);
    };
    answer.then(done, done);
    return answer;
  };

  return { peek, load, get: (key) => peek(key) ?? load(key) };
}
