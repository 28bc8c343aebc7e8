/**
 * The messages in this process's hands, from coming in to being settled or given back.
 *
 * Invariant: what came in goes out once, and only then its room in memory is free again; what was dropped with its lease is
 * neither settled nor given back: it is someone else's.
 */
import type { Clock } from "../platform/clock.ts";
import { formatId, type MessageId, newId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Outgoing, Result, Task } from "../spool/message.ts";
import { composeDsn, type DsnRecipient } from "./dsn.ts";
import type { Peer, TaskRecipient } from "./envelope.ts";
import { type Leases, startLeases } from "./lease.ts";
import { type DeliveryMetrics, noteResult } from "./note.ts";
import { readOriginal } from "./original.ts";
import { decideFailure, untried, type Verdict } from "./outcome.ts";
import type { Held, Parcel } from "./parcel.ts";
import { conclude } from "./report.ts";
import { createReturns, type Returns } from "./returns.ts";
import { createSettlement, type Settlement } from "./settlement.ts";

export type HandsOptions = Readonly<{
  spool: Readonly<{
    renew(tasks: readonly Task[], leaseMs: number): Promise<ReadonlySet<MessageId>>;
    release(tasks: readonly Task[], delayMs: number): Promise<void>;
    settle(results: readonly Result[]): Promise<readonly boolean[]>;
    readBody(task: Task): AsyncIterable<Uint8Array>;
  }>;
  clock: Clock;
  log: Log;
  metrics: DeliveryMetrics;
  hostname: string;
  scheduleMs: readonly number[];
  random: () => number;
  leaseMs: number;
  gatherMs: number;
  /** It is out of our hands: settled, given back or lost. */
  gone(held: Held): void;
}>;

export class Hands implements Disposable {
  readonly #options: HandsOptions;
  readonly #leases: Leases;
  readonly #settlement: Settlement;
  readonly #returns: Returns;
  /** Messages whose outcome is still open. */
  #working = 0;
  #whenDone: (() => void) | undefined;

  constructor(options: HandsOptions) {
    const { spool, log, leaseMs, gatherMs } = options;
    this.#options = options;
    this.#leases = startLeases({
      renew: (tasks) => spool.renew(tasks, leaseMs),
      leaseMs,
      lost: (held) => this.#lost(held),
      log,
    });
    this.#settlement = createSettlement({ settle: (results) => spool.settle(results), gatherMs, log });
    this.#returns = createReturns({ release: (tasks, delayMs) => spool.release(tasks, delayMs), log });
  }

  /** The caller sends it on its way. */
  take(task: Task, fresh: boolean, route: string): Held {
    const held: Held = {
      task,
      fresh,
      route,
      leasedUntilMs: task.leasedUntilMs,
      state: "waiting",
      begunAtMs: 0,
      open: task.recipients.length,
      findings: [],
      delayMs: 0,
    };
    this.#working += 1;
    this.#leases.add(held);
    if (held.open === 0) this.#settle(held, { task, recipients: [], dueAt: null, route: null, dsn: null });
    return held;
  }

  begin({ held }: Parcel): boolean {
    if (held.state === "begun") return true;
    if (!this.#leases.begin(held)) return false;
    this.#options.metrics.deliverySlots.inc();
    return true;
  }

  finished(
    { held }: Pick<Parcel, "held">,
    recipients: readonly TaskRecipient[],
    verdicts: readonly Verdict[],
    peer: Peer | null,
  ): void {
    const remote = peer?.host ?? null;
    const dsn = peer?.dsn ?? false;
    let i = 0;
    for (const recipient of recipients) {
      held.findings.push({ recipient, verdict: verdicts[i] ?? untried, remote, dsn });
      i += 1;
    }
    held.open -= recipients.length;
    if (held.open === 0) this.#complete(held);
  }

  /** Untried; what has expired meanwhile has had its time. */
  giveBack(parcels: readonly Parcel[], delayMs: number): void {
    const now = this.#options.clock.now();
    for (const parcel of parcels) {
      const { held, recipients } = parcel;
      if (held.state === "lost") continue;
      held.delayMs = Math.max(held.delayMs, delayMs);
      const expired = delayMs > 0 && now >= held.task.expiresAt;
      const verdict = expired ? unreachable : untried;
      this.finished(
        parcel,
        recipients,
        recipients.map(() => verdict),
        null,
      );
    }
  }

  /** Returned without another try. */
  expire(held: Held): void {
    const { recipients } = held.task;
    this.finished(
      { held },
      recipients,
      recipients.map(() => overdue),
      null,
    );
  }

  /** Delivered mail whose outcome is not written yet would be claimed, and sent, again. */
  stalled(): boolean {
    return this.#settlement.stalled();
  }

  size(): number {
    return this.#leases.size();
  }

  /** Resolves when no outcome is open any more, at the latest after `ms`. */
  done(ms: number): Promise<void> {
    if (this.#working === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const late = setTimeout(resolve, ms);
      this.#whenDone = () => {
        clearTimeout(late);
        resolve();
      };
    });
  }

  /** Resolves when all that is done is written, at the latest after `ms`. */
  async written(ms: number): Promise<void> {
    await this.#returns.idle();
    await this.#settlement.idle(ms);
  }

  [Symbol.dispose](): void {
    this.#leases[Symbol.dispose]();
  }

  #complete(held: Held): void {
    const { clock, scheduleMs, random } = this.#options;
    const concluded = conclude(held, { now: clock.now(), scheduleMs, jitter: random() });
    if (concluded === undefined) {
      this.#worked(held);
      this.#returns.add(held.task, held.delayMs, () => this.#gone(held));
    } else if (concluded.report.length === 0) this.#settle(held, { ...concluded.result, dsn: null });
    else this.#report(held, concluded.result, concluded.report);
  }

  /** A report that can't be made must not keep the outcome from being written. */
  #report(held: Held, result: Omit<Result, "dsn">, recipients: readonly DsnRecipient[]): void {
    this.#settleWithReport(held, result, recipients).catch((error: unknown) => {
      const message = formatId("msg", held.task.id);
      this.#options.log.error({ event: "dsn.failed", err: error, message_id: message }, "no report could be made");
      this.#settle(held, { ...result, dsn: null });
    });
  }

  async #settleWithReport(held: Held, result: Omit<Result, "dsn">, recipients: readonly DsnRecipient[]): Promise<void> {
    const { clock, hostname, spool, log } = this.#options;
    const { task } = held;
    const { bytes, whole } = await readOriginal(task, (of) => spool.readBody(of));
    const id = newId<MessageId>(clock);
    const report = { id, now: clock.now(), hostname, task, recipients };
    let dsn: Outgoing;
    try {
      dsn = composeDsn({ ...report, original: bytes, whole });
    } catch (error) {
      log.error({ event: "report.plain", message_id: formatId("msg", task.id), err: error }, "original left out");
      dsn = composeDsn({ ...report, original: new Uint8Array(), whole: false });
    }
    this.#settle(held, { ...result, dsn });
  }

  #settle(held: Held, result: Result): void {
    this.#worked(held);
    this.#settlement.add(result, (ours) => {
      if (ours) noteResult(result, this.#options.metrics, this.#options.log);
      else this.#noteLost(held);
      this.#gone(held);
    });
  }

  #worked(held: Held): void {
    const { metrics } = this.#options;
    if (held.state === "begun") {
      metrics.deliverySlots.dec();
      metrics.deliverySeconds.observe((performance.now() - held.begunAtMs) / 1000);
    }
    this.#working -= 1;
    if (this.#working === 0) this.#whenDone?.();
  }

  #gone(held: Held): void {
    this.#leases.end(held);
    this.#options.gone(held);
  }

  #lost(held: Held): void {
    this.#noteLost(held);
    this.#working -= 1;
    if (this.#working === 0) this.#whenDone?.();
    this.#options.gone(held);
  }

  #noteLost({ task }: Held): void {
    const { metrics, log } = this.#options;
    metrics.leasesLost.inc();
    log.warn(
      { event: "lease.lost", message_id: formatId("msg", task.id), attempt: task.attempt },
      "in other hands now",
    );
  }
}

const overdue = decideFailure({
  why: "connect",
  text: "Delivery was on hold until the message's time had passed",
  reply: null,
});
const unreachable = decideFailure({ why: "connect", text: "The server could not be reached", reply: null });
