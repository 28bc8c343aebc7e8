/** A spool in memory with the rules of the real one: leases by (owner, attempt), due instants, outcomes of recipients. */

import type { Spool } from "../../src/delivery/worker.ts";
import { createClock } from "../../src/platform/clock.ts";
import { type MasterId, type MessageId, newId, type SubaccountId } from "../../src/platform/ids.ts";
import type { Result, Task } from "../../src/spool/message.ts";

const clock = createClock();
export const anyMaster = newId<MasterId>(clock);
export const anySubaccount = newId<SubaccountId>(clock);

export const newSubaccount = () => newId<SubaccountId>(clock);

export const hello = Buffer.from("From: a@sender.example\r\nSubject: Hello\r\n\r\nHello\r\n");

export function makeTask(given: Partial<Task> & { to?: readonly string[] } = {}): Task {
  const { to = ["bob@example.net"], ...rest } = given;
  const bytes = rest.bytes === undefined ? [hello] : rest.bytes;
  return {
    id: newId<MessageId>(clock),
    masterId: anyMaster,
    subaccountId: anySubaccount,
    kind: "submitted",
    attempt: 1,
    leasedUntilMs: performance.now() + 60_000,
    expiresAt: new Date(Date.now() + 86_400_000),
    acceptedAt: new Date(),
    route: null,
    sender: "alice@sender.example",
    sizeBytes: bytes === null ? hello.length : bytes.reduce((sum, part) => sum + part.length, 0),
    bodyParts: 1,
    envelopeId: null,
    ret: null,
    eightBit: false,
    smtpUtf8: false,
    recipients: to.map((address, n) => ({ n, address, originalRecipient: null, notify: null })),
    bytes,
    ...rest,
  };
}

type Row = { task: Task; attempt: number; dueAt: number; owned: boolean; parts: readonly Uint8Array[] };

export class PlayedSpool implements Spool {
  readonly rows = new Map<MessageId, Row>();
  readonly results: Result[] = [];
  readonly released: { tasks: readonly Task[]; delayMs: number }[] = [];
  readonly renewals: (readonly Task[])[] = [];
  readonly settleCalls: number[] = [];
  claims = 0;
  smallReads = 0;
  /** Set to make calls fail. */
  outage: Error | undefined;
  #waiting: { results: number; resolve: () => void }[] = [];

  /** As if inserted under our lease. */
  hold(task: Task, parts: readonly Uint8Array[] = task.bytes ?? [hello]): Task {
    this.rows.set(task.id, { task, attempt: task.attempt, dueAt: Number.POSITIVE_INFINITY, owned: true, parts });
    return task;
  }

  /** As if inserted for anybody. */
  store(task: Task, parts: readonly Uint8Array[] = task.bytes ?? [hello], dueInMs = 0): Task {
    this.rows.set(task.id, { task, attempt: 0, dueAt: performance.now() + dueInMs, owned: false, parts });
    return task;
  }

  async claim({ limit, leaseMs, cursor }: Parameters<Spool["claim"]>[0]) {
    this.claims += 1;
    if (this.outage) throw this.outage;
    const now = performance.now();
    const due = [...this.rows.values()].filter((row) => !row.owned && row.dueAt <= now).slice(0, limit);
    const tasks = due.map((row) => {
      row.owned = true;
      row.attempt += 1;
      const recipients = row.task.recipients;
      return { ...row.task, recipients, bytes: null, attempt: row.attempt, leasedUntilMs: now + leaseMs };
    });
    void cursor;
    return { tasks, cursor: "00000000-0000-0000-0000-000000000000" as SubaccountId };
  }

  async renew(tasks: readonly Task[]) {
    this.renewals.push(tasks);
    if (this.outage) throw this.outage;
    return new Set(tasks.filter((task) => this.isHeld(task)).map(({ id }) => id));
  }

  async release(tasks: readonly Task[], delayMs: number) {
    if (this.outage) throw this.outage;
    this.released.push({ tasks, delayMs });
    for (const task of tasks) {
      const row = this.rows.get(task.id);
      if (!this.isHeld(task) || row === undefined) continue;
      Object.assign(row, { owned: false, attempt: row.attempt - 1, dueAt: performance.now() + delayMs });
    }
  }

  async settle(results: readonly Result[]) {
    if (this.outage) throw this.outage;
    this.settleCalls.push(results.length);
    const held = results.map((result) => this.#settle(result));
    for (const { results: n, resolve } of this.#waiting) if (this.results.length >= n) resolve();
    return held;
  }

  async *readBody(task: Task) {
    const row = this.rows.get(task.id);
    if (row === undefined) throw new Error("the body is gone");
    yield* row.parts;
  }

  async readSmallBodies(ids: readonly MessageId[]) {
    this.smallReads += 1;
    const rows = ids.map((id) => [id, this.rows.get(id)?.parts[0]] as const);
    return new Map(rows.filter((row): row is [MessageId, Uint8Array] => row[1] !== undefined));
  }

  isHeld(task: Task): boolean {
    const row = this.rows.get(task.id);
    return row?.owned === true && row.attempt === task.attempt;
  }

  /** Someone else has claimed it meanwhile. */
  steal(task: Task): void {
    const row = this.rows.get(task.id);
    if (row) row.attempt += 1;
  }

  settled(results: number): Promise<void> {
    if (this.results.length >= results) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ results, resolve }));
  }

  resultOf(task: Task): Result | undefined {
    return this.results.findLast((result) => result.task.id === task.id);
  }

  #settle(result: Result): boolean {
    if (!this.isHeld(result.task)) return false;
    this.results.push(result);
    const row = this.rows.get(result.task.id) as Row;
    if (result.dueAt === null) this.rows.delete(result.task.id);
    else {
      const gone = new Set(result.recipients.filter(({ state }) => state !== "deferred").map(({ n }) => n));
      const recipients = row.task.recipients.filter(({ n }) => !gone.has(n));
      const dueAt = performance.now() + result.dueAt.getTime() - Date.now();
      Object.assign(row, { owned: false, dueAt, task: { ...row.task, recipients, route: result.route } });
    }
    return true;
  }
}
