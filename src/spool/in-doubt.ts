/**
 * Messages that were accepted although the client can't have read the 250: it will send them again (RFC 1047), and the
 * retry is answered with the first one's id, neither charged nor delivered.
 *
 * Invariant: one row suppresses one message, on one node, within a day: of the same subaccount, envelope and bytes as the
 * client sent them, without the header that we put on top. While no row is known, a message costs one look into a map.
 * On failure: a row that can't be written, is not yet written, or is not yet known to a process (up to a few seconds while
 * it does not listen) suppresses nothing: the retry is accepted, charged and delivered as well. So is the retry of what a
 * killed process had stored without having answered: nobody is left to tell. A question that fails is thrown.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { AccountChanges } from "../accounts/changes.ts";
import { formatId, type SubaccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { hashOf } from "./content-hash.ts";
import { candidatesFor, listRows, type Place, received, take, writeRow } from "./in-doubt-rows.ts";
import type { Doubtful, Submission } from "./message.ts";

export type InDoubt = AsyncDisposable &
  Readonly<{
    /** The client can't have read the 250, if there was one. The row is written in the background. */
    note(doubtful: Doubtful): void;
    /** Is anything of this subaccount in doubt? From memory; true for a while after the last retry has come. */
    any(subaccountId: SubaccountId): boolean;
    /** The first one, when this is its retry; undefined (at once, mostly) when it is a message of its own. */
    recognise(submission: Submission, addedBytes: number): Promise<Doubtful | undefined> | undefined;
    /** Resolves when nothing is being written or read. */
    idle(): Promise<void>;
  }>;

export type InDoubtDeps = Readonly<{
  pool: Pool;
  changes: Pick<AccountChanges, "subscribe">;
  metrics: Pick<Metrics, "inDoubt" | "repeated">;
  log: Log;
  /** How long a database that is away is waited for. */
  patienceMs?: number;
}>;

/** Resolves when it knows all rows. @throws when they can't be read */
export async function openInDoubt(deps: InDoubtDeps): Promise<InDoubt> {
  const { pool, log, metrics } = deps;
  const known = createKnown();
  const tasks = createTasks(deps);
  const firstTries = new Map<string, Promise<void>>(); // of rows that this process is about to write
  let queue = Promise.resolve();

  async function write(doubtful: Doubtful): Promise<void> {
    if (!(await writeRow(pool, doubtful))) return;
    metrics.inDoubt.inc();
    log.info({ event: "message.in_doubt", message_id: formatId("msg", doubtful.id) });
  }

  function note(doubtful: Doubtful): void {
    const key = known.learn(doubtful);
    // One after the other: a proxy that ends breaks a thousand connections at once.
    const tried = queue.then(() => tasks.tryOnce(() => write(doubtful)));
    const first = tried.then(() => {
      if (firstTries.get(key) === first) firstTries.delete(key);
    });
    queue = first;
    firstTries.set(key, first);
    tasks.add(tried.then((done) => (done ? undefined : tasks.insist(() => write(doubtful)))));
  }

  async function match(submission: Submission, addedBytes: number): Promise<Doubtful | undefined> {
    const { subaccountId, sender } = submission;
    const place = { subaccountId, sizeBytes: submission.sizeBytes - addedBytes };
    await firstTries.get(keyOf(place));
    const told = known.told(place);
    const candidates = await candidatesFor(pool, place, sender);
    if (candidates.any === 0 && known.told(place) === told) known.forget(place);
    if (candidates.hashes.length === 0) return undefined;
    const hash = await hashOf(submission, received(pool, submission), addedBytes);
    if (!candidates.hashes.some((other) => other.equals(hash))) return undefined;
    const first = await take(pool, place, sender, hash);
    if (first !== undefined) metrics.repeated.inc();
    return first;
  }

  const load = async () => {
    for (const place of await listRows(pool)) known.learn(place);
  };
  deps.changes.subscribe((change) => {
    if (change.kind === "doubt") known.learn({ subaccountId: change.id as SubaccountId, sizeBytes: change.sizeBytes });
    else if (change.kind === "everything") tasks.add(tasks.insist(load));
  });
  await load();

  return {
    note,
    any: known.any,
    recognise(submission, addedBytes) {
      const place = { subaccountId: submission.subaccountId, sizeBytes: submission.sizeBytes - addedBytes };
      return known.told(place) === undefined ? undefined : match(submission, addedBytes);
    },
    idle: tasks.idle,
    [Symbol.asyncDispose]: tasks.end,
  };
}

const keyOf = ({ subaccountId, sizeBytes }: Place) => `${subaccountId} ${sizeBytes}`;

/** Knows how often it was told of a place, so that what is told while a question is under way is not forgotten after it. */
function createKnown() {
  const known = new Map<SubaccountId, Map<number, number>>();
  return {
    learn(place: Place): string {
      const sizes = known.get(place.subaccountId) ?? new Map<number, number>();
      known.set(place.subaccountId, sizes.set(place.sizeBytes, (sizes.get(place.sizeBytes) ?? 0) + 1));
      return keyOf(place);
    },
    forget({ subaccountId, sizeBytes }: Place): void {
      const sizes = known.get(subaccountId);
      sizes?.delete(sizeBytes);
      if (sizes?.size === 0) known.delete(subaccountId);
    },
    told: ({ subaccountId, sizeBytes }: Place) => known.get(subaccountId)?.get(sizeBytes),
    any: (subaccountId: SubaccountId) => known.has(subaccountId),
  };
}

/** Work in the background that is tried again while the database is away, and waited for at the end. */
function createTasks({ log, patienceMs = 600_000 }: Pick<InDoubtDeps, "log" | "patienceMs">) {
  const running = new Set<Promise<unknown>>();
  const ending = new AbortController();

  async function tryOnce(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      log.warn({ event: "in_doubt.failed", err: error }, "a client's retry may be taken for a new message");
      return false;
    }
  }

  async function insist(work: () => Promise<void>): Promise<void> {
    const deadline = performance.now() + patienceMs;
    for (let ms = 100; !(await tryOnce(work)); ms = Math.min(2 * ms, 5000)) {
      if (ending.signal.aborted || performance.now() > deadline) return;
      await sleep(ms, undefined, { ref: false, signal: ending.signal }).catch(() => {});
    }
  }

  const add = (task: Promise<unknown>) => {
    running.add(task);
    void task.finally(() => running.delete(task));
  };
  const idle = async () => {
    while (running.size > 0) await Promise.all(running);
  };
  const end = () => {
    ending.abort();
    return idle();
  };
  return { add, tryOnce, insist, idle, end };
}
