/**
 * The moment of acceptance: all messages that wait are stored and charged in one transaction.
 *
 * Invariant: `accepted` is answered only after the commit; a message is spooled exactly when its usage is recorded; no
 * usage row passes its cap.
 * On failure: nothing is stored. An error of the server fails no neighbour: the batch is run again message by message.
 * When the result is unknown the fence decides; when even that can't be asked, the answer is `unknown`.
 */
import type { ClientBase } from "pg";
import { nextPeriod, previousPeriod } from "../metering/period.ts";
import type { SubaccountId } from "../platform/ids.ts";
import type { Standing } from "../quota/gate.ts";
import { type AcceptCallDeps, type Called, callAccept, type Verdicts, verdictCode } from "./accept-call.ts";
import { encodeBatch, type UsageKey } from "./batch.ts";
import { fence } from "./fence.ts";
import { freshTask } from "./fresh.ts";
import { release } from "./lease.ts";
import type { Acceptance, Submission, Task } from "./message.ts";

/** Where fresh mail goes without being read back. Room is asked for before the insert and given back after a refusal. */
export interface Handoff {
  offer(sizeBytes: number, subaccountId: SubaccountId): boolean;
  push(task: Task): void;
  withdraw(sizeBytes: number, subaccountId: SubaccountId): void;
}

export type AcceptorDeps = AcceptCallDeps &
  Readonly<{
    owner: number;
    handoff: Handoff;
    /** The door and the gate disagreed: the gate learns what the rows say. */
    publish: (standings: readonly Standing[]) => void;
    /** A connection that no pool has kept, for the fence. */
    connect: () => Promise<ClientBase & { end(): Promise<void> }>;
    lifetimeMs: number;
    leaseMs?: number;
    /** Calls under way at once. A second one starts when many wait: small batches cost more than they save. */
    concurrency?: number;
    fencePatienceMs?: number;
  }>;

export interface Acceptor {
  accept(submission: Submission): Promise<Acceptance>;
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>;
}

type Waiting = Readonly<{ submission: Submission; answer: (acceptance: Acceptance) => void; rolled: number }>;
type Decided = Extract<Called, { kind: "decided" }>;

const BATCH_BYTES = 4 * 1024 * 1024;
const BATCH_MESSAGES = 500;
const WORTH_ANOTHER = 24;
const MAX_ROLLS = 3;

export function createAcceptor(deps: AcceptorDeps): Acceptor {
  const { pool, owner, handoff, log, lifetimeMs } = deps;
  const holder = { owner, leaseMs: deps.leaseMs ?? 60_000, lifetimeMs };
  const concurrency = deps.concurrency ?? 2;
  const waiting: Waiting[] = [];
  let idle: (() => void)[] = [];
  let running = 0;
  let scheduled = false;

  /** At the end of this turn of the event loop: what arrives in it goes together. */
  function pumpSoon(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      pump();
    });
  }

  function pump(): void {
    while (running < concurrency && waiting.length > (running === 0 ? 0 : WORTH_ANOTHER)) {
      running += 1;
      void run(take(waiting)).finally(() => {
        running -= 1;
        pump();
      });
    }
    if (running > 0 || waiting.length > 0) return;
    for (const resolve of idle) resolve();
    idle = [];
  }

  async function run(batch: readonly Waiting[]): Promise<void> {
    try {
      await store(batch);
    } catch (error) {
      log.error({ event: "accept.failed", err: error }, "the accept call could not be made");
      failAll(batch);
    }
  }

  async function store(batch: readonly Waiting[], opened = false): Promise<Called> {
    const messages = batch.map((w) => w.submission);
    const lease = messages.map((m) => m.bodyParts === 1 && handoff.offer(m.sizeBytes, m.subaccountId));
    const called = await callAccept(deps, encodeBatch(messages, lease, holder), messages.length);
    if (called.kind === "decided") {
      finish(batch, lease, called);
      return called;
    }
    for (const [i, m] of messages.entries()) if (lease[i]) handoff.withdraw(m.sizeBytes, m.subaccountId);
    if (called.kind === "unknown") await decideUnknown(batch, called.sentAtMs);
    else if (called.kind === "cold" && !opened && (await openRows(messages))) return store(batch, true);
    else if (called.kind !== "failed" && batch.length > 1) await storeSingly(batch, opened);
    else failAll(batch);
    return called;
  }

  /** Finds the one that is to blame. Who waits for a row that could not be had is not tried again message by message. */
  async function storeSingly(batch: readonly Waiting[], opened: boolean): Promise<void> {
    const locked = new Set<SubaccountId>();
    for (const one of batch) {
      const { subaccountId } = one.submission;
      if (locked.has(subaccountId)) failAll([one]);
      else {
        const called = await store([one], opened);
        if (called.kind === "suspect" && called.locked) locked.add(subaccountId);
      }
    }
  }

  function finish(batch: readonly Waiting[], lease: readonly boolean[], { verdicts, keys, sentAtMs }: Decided): void {
    const over = new Map<string, Standing>();
    for (const [i, waiter] of batch.entries()) {
      const { submission } = waiter;
      const verdict = verdicts.verdict[i] as number;
      const handed = lease[i] && verdict === verdictCode.accepted && verdicts.leased[i];
      if (handed) handoff.push(freshTask(submission, sentAtMs + holder.leaseMs, lifetimeMs));
      else if (lease[i]) handoff.withdraw(submission.sizeBytes, submission.subaccountId);
      answer(waiter, verdict, () => {
        const account = verdict === verdictCode.overMaster ? "master" : "subaccount";
        const standing = standingOf(verdicts, keys, submission, account);
        const { used, cap } = standing;
        const said = { kind: "over", account, used, cap: cap ?? 0, resetsAt: submission.period.end } as const;
        // What is kept stands in no usage row: the gate asks for it.
        if (verdict === verdictCode.reserved) return { ...said, reserved: true };
        // The counter of sandbox mail is none that a gate knows.
        if (!submission.sandbox) over.set(standing.accountId, standing);
        return said;
      });
    }
    if (over.size > 0) deps.publish([...over.values()]);
  }

  function answer(waiter: Waiting, verdict: number, over: () => Acceptance): void {
    if (verdict === verdictCode.accepted) waiter.answer({ kind: "accepted", id: waiter.submission.id });
    else if (verdict === verdictCode.closed) waiter.answer({ kind: "closed" });
    else if (verdict === verdictCode.afterPeriod) roll(waiter, nextPeriod);
    else if (verdict === verdictCode.beforePeriod) roll(waiter, previousPeriod);
    else if (verdict === verdictCode.voided) waiter.answer({ kind: "failed" });
    else if (verdict === verdictCode.rate) waiter.answer({ kind: "rate" });
    else waiter.answer(over());
  }

  /** Postgres's clock says that the period has changed: the message belongs to the neighbour. */
  function roll({ submission, answer, rolled }: Waiting, neighbour: typeof nextPeriod): void {
    const period = neighbour(submission.calendar, submission.period);
    if (rolled < MAX_ROLLS) waiting.push({ submission: { ...submission, period }, answer, rolled: rolled + 1 });
    else answer({ kind: "failed" });
  }

  async function decideUnknown(batch: readonly Waiting[], sentAtMs: number): Promise<void> {
    const messages = batch.map((w) => w.submission);
    const accepted = await fence(deps.connect, messages, sentAtMs + (deps.fencePatienceMs ?? 60_000));
    log.warn(
      { event: "accept.fenced", messages: messages.length, known: accepted !== undefined },
      "the fence has decided",
    );
    for (const { submission, answer } of batch) {
      const stored = accepted?.get(submission.id);
      if (stored === undefined) answer({ kind: "unknown" });
      else answer(stored ? { kind: "accepted", id: submission.id } : { kind: "failed" });
    }
    const stored = messages.filter(({ id }) => accepted?.get(id)).map(({ id }) => ({ id, attempt: 1 }));
    // They were stored under our lease, but not handed over. If this fails, the lease runs out.
    if (stored.length > 0) await release(pool, owner, stored, 0).catch(() => {});
  }

  /** False when one of them could not be had. */
  async function openRows(messages: readonly Submission[]): Promise<boolean> {
    try {
      for (const { accountId, start, end } of encodeBatch(messages, [], holder).keys) {
        await pool.query("select open_usage($1, $2, $3)", [accountId, start, end]);
      }
      return true;
    } catch (error) {
      log.warn({ event: "accept.row_not_opened", err: error }, "a usage row could not be opened");
      return false;
    }
  }

  return {
    accept: (submission) =>
      new Promise((answer) => {
        waiting.push({ submission, answer, rolled: 0 });
        pumpSoon();
      }),
    idle: () =>
      new Promise((resolve) => {
        idle.push(resolve);
        pump();
      }),
  };
}

function failAll(batch: readonly Waiting[]): void {
  for (const { answer } of batch) answer({ kind: "failed" });
}

/** All that waits, up to 4 MiB of bodies; a larger message goes alone. Sandbox mail goes apart. */
function take(waiting: Waiting[]): Waiting[] {
  let bytes = 0;
  let n = 0;
  const sandbox = waiting[0]?.submission.sandbox;
  for (const { submission } of waiting) {
    if (submission.sandbox !== sandbox) break;
    bytes += submission.sizeBytes;
    if (n === BATCH_MESSAGES || (n > 0 && bytes > BATCH_BYTES)) break;
    n += 1;
  }
  return waiting.splice(0, n);
}

function standingOf(
  verdicts: Verdicts,
  keys: readonly UsageKey[],
  submission: Submission,
  account: "subaccount" | "master",
): Standing {
  const { masterId, subaccountId, period } = submission;
  const accountId = account === "master" ? masterId : subaccountId;
  const k = keys.findIndex((key) => key.accountId === accountId && key.start.getTime() === period.start.getTime());
  return {
    accountId,
    masterId,
    periodStart: period.start,
    periodEnd: period.end,
    used: verdicts.k_used[k] as number,
    cap: verdicts.k_cap[k] ?? null,
    version: verdicts.k_version[k] as number,
  };
}
