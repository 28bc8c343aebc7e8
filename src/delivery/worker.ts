/**
 * Delivery: fresh mail from memory and claimed mail from the spool, over the routes, until its outcome is written.
 *
 * Invariant: a message is sent only while its lease stands; each message that came in goes out once: settled, or given back
 * to the spool. What is in memory is bounded.
 * On failure: an upstream that is away defers; a spool that is away keeps outcomes waiting; a crash leaves leases that run
 * out, and the mail is delivered by whoever claims it then.
 */
import type { Clock } from "../platform/clock.ts";
import type { Config } from "../platform/config.ts";
import type { MessageId, SubaccountId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Claimed } from "../spool/claim.ts";
import type { Result, Task } from "../spool/message.ts";
import type { Capture } from "./capture.ts";
import { type ClaimQuota, createClaimQuota } from "./claim-quota.ts";
import { type Claims, startClaims } from "./claims.ts";
import { createHandoff, type Handoff } from "./handoff.ts";
import { Hands } from "./hands.ts";
import { createLanes, type LaneState, type Lanes } from "./lanes.ts";
import { createResolve } from "./mx.ts";
import type { DeliveryMetrics } from "./note.ts";
import type { Failure } from "./outcome.ts";
import type { Held } from "./parcel.ts";
import { parseRoute, type Route, sandboxRoute } from "./route.ts";
import { type Tuning, tuned } from "./tuning.ts";
import { startWatch, type Watch } from "./watch.ts";

/** What delivery needs of the spool; every call is bound to one owner of leases. */
export interface Spool {
  claim(asked: { leaseMs: number; limit: number; perTenant: number; cursor: SubaccountId }): Promise<Claimed>;
  /** Resolves to those still ours. */
  renew(tasks: readonly Task[], leaseMs: number): Promise<ReadonlySet<MessageId>>;
  /** Given back untried, due again after `delayMs`; the attempt is not counted. */
  release(tasks: readonly Task[], delayMs: number): Promise<void>;
  /** Which were still ours, in their order. */
  settle(results: readonly Result[]): Promise<readonly boolean[]>;
  readBody(task: Task): AsyncIterable<Uint8Array>;
  /** Bodies of one part each, at once; what is missing is read (and missed) by readBody. */
  readSmallBodies(ids: readonly MessageId[]): Promise<ReadonlyMap<MessageId, Uint8Array>>;
}

export type DeliveryDeps = Readonly<{
  config: Pick<Config, "upstreamUrl" | "hostname" | "retryScheduleMs" | "dnsServers">;
  clock: Clock;
  log: Log;
  metrics: DeliveryMetrics;
  spool: Spool;
  capture: Capture;
  tuning?: Partial<Tuning>;
}>;

export interface Delivery extends AsyncDisposable {
  /** For the door: room is taken by `offer` before the insert, then used by `push` or given back by `withdraw`. */
  readonly handoff: Readonly<{
    offer(sizeBytes: number, subaccountId: SubaccountId): boolean;
    push(task: Task): void;
    withdraw(sizeBytes: number, subaccountId: SubaccountId): void;
  }>;
  /** Something in the spool may be due. */
  wake(): void;
  state(): Readonly<{ held: number; heldBytes: number; lanes: readonly LaneState[] }>;
  /** Takes nothing more, finishes what runs within `ms`, gives back the rest, and ends. */
  drain(ms: number): Promise<void>;
}

const DRAIN_MS = 20_000;
const WRITE_MS = 5_000;
/** Held in memory with the claim, as many as may be claimed at once. */
const SMALL_BYTES = 16 * 1024;
const drained: Failure = { why: "aborted", text: "This server is shutting down", reply: null };

/** @throws Fault invalid when the upstream is no route. */
export function startDelivery(deps: DeliveryDeps): Delivery {
  return new Worker(deps, { ...tuned, ...deps.tuning });
}

class Worker implements Delivery {
  readonly handoff: Delivery["handoff"];
  readonly #spool: Spool;
  readonly #room: Handoff;
  readonly #watch: Watch;
  readonly #hands: Hands;
  readonly #lanes: Lanes;
  readonly #claims: Claims;
  readonly #quota: ClaimQuota;
  #draining: Promise<void> | undefined;

  constructor(deps: DeliveryDeps, tuning: Tuning) {
    const { clock, log, metrics, spool, config } = deps;
    const { leaseMs, gatherMs, random } = tuning;
    this.#spool = spool;
    this.#room = createHandoff({ totalBytes: tuning.handoffBytes, subaccountBytes: tuning.subaccountBytes });
    this.#watch = startWatch(tuning.watchMs);
    const route = parseRoute(config.upstreamUrl);
    this.#quota = createClaimQuota(route.kind === "mx" ? tuning.mxClaimed : tuning.claimed);
    const { hostname, retryScheduleMs: scheduleMs } = config;
    const gone = (held: Held) => this.#gone(held);
    this.#hands = new Hands({ spool, clock, log, metrics, hostname, scheduleMs, random, leaseMs, gatherMs, gone });
    this.#lanes = makeLanes(deps, tuning, route, {
      watch: this.#watch,
      hands: this.#hands,
      quota: this.#quota,
      wake: () => this.wake(),
    });
    this.#claims = startClaims({
      claim: (asked) => spool.claim({ leaseMs, ...asked }),
      room: () => (this.#hands.stalled() ? 0 : this.#quota.room()),
      worthwhile: this.#quota.worthwhile,
      take: (tasks) => this.#take(tasks),
      shortestPauseMs: tuning.shortestPauseMs,
      longestPauseMs: tuning.longestPauseMs,
      log,
    });
    this.handoff = {
      offer: (sizeBytes, subaccountId) => this.#offer(sizeBytes, subaccountId),
      push: (task) => this.#send(task, true),
      withdraw: (sizeBytes, subaccountId) => this.#room.free(sizeBytes, subaccountId),
    };
  }

  wake(): void {
    this.#claims.wake();
  }

  state() {
    return { held: this.#hands.size(), heldBytes: this.#room.heldBytes(), lanes: this.#lanes.states() };
  }

  drain(ms: number): Promise<void> {
    this.#draining ??= this.#drain(ms);
    return this.#draining;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.drain(DRAIN_MS);
  }

  #offer(sizeBytes: number, subaccountId: SubaccountId): boolean {
    const taken = this.#draining === undefined && this.#lanes.admits() && this.#room.offer(sizeBytes, subaccountId);
    if (!taken) this.wake(); // it will lie in the spool, due at once
    return taken;
  }

  #send(task: Task, fresh: boolean): Held {
    const held = this.#hands.take(task, fresh, this.#lanes.routeOf(task));
    if (task.overdue) this.#hands.expire(held);
    else if (held.open > 0) this.#lanes.send(held);
    return held;
  }

  /** How many of them could be sent on their way. */
  async #take(tasks: readonly Task[]): Promise<number> {
    this.#quota.took(tasks.length);
    const bodies = await this.#readSmall(tasks);
    let sent = 0;
    for (const task of tasks) {
      const body = bodies.get(task.id);
      const held = this.#send(body === undefined ? task : { ...task, bytes: [body] }, false);
      if (held.delayMs === 0) sent += 1;
    }
    return sent;
  }

  /** A claim's small messages come by one read; the larger ones are read when it is their turn. */
  async #readSmall(tasks: readonly Task[]): Promise<ReadonlyMap<MessageId, Uint8Array>> {
    const small = tasks.filter(({ bodyParts, sizeBytes, bytes }) => {
      return bytes === null && bodyParts === 1 && sizeBytes <= SMALL_BYTES;
    });
    if (small.length === 0) return new Map();
    return this.#spool.readSmallBodies(small.map(({ id }) => id)).catch(() => new Map());
  }

  #gone(held: Held): void {
    if (held.fresh) this.#room.free(held.task.sizeBytes, held.task.subaccountId);
    else {
      this.#quota.took(-1);
      this.wake();
    }
  }

  async #drain(ms: number): Promise<void> {
    await this.#claims.stop();
    this.#lanes.stop();
    await this.#hands.done(ms);
    this.#lanes.destroy(drained);
    await this.#hands.written(WRITE_MS);
    this.#hands[Symbol.dispose]();
    this.#watch[Symbol.dispose]();
  }
}

type Parts = Readonly<{ watch: Watch; hands: Hands; quota: ClaimQuota; wake: () => void }>;

/** Fresh messages that may wait for one domain of direct delivery. */
const FRESH_OF_A_DOMAIN = 2000;

function makeLanes(deps: DeliveryDeps, tuning: Tuning, route: Route, { watch, hands, quota, wake }: Parts): Lanes {
  const { config, log, metrics, spool, capture } = deps;
  const { patience, random, mxPort, ca } = tuning;
  return createLanes({
    routes: [route, sandboxRoute],
    dialing: {
      transport: { hostname: config.hostname, patience, watch, ca },
      patience,
      resolve: createResolve(config.dnsServers),
      random,
      mxPort,
    },
    capture,
    breaker: tuning.breaker,
    breakerChanged(name, open) {
      metrics.routeBreakerOpen.inc(open ? 1 : -1);
      log.warn({ event: open ? "route.left_alone" : "route.back", route: name });
      if (!open) wake();
    },
    mxConnections: tuning.mxConnections,
    crowded: (kind, load) => (kind === "fresh" ? load >= FRESH_OF_A_DOMAIN : quota.isCrowded(load)),
    recipients: tuning.recipients,
    begin: (parcel) => hands.begin(parcel),
    read: ({ held }) => spool.readBody(held.task),
    finished: (parcel, recipients, verdicts, peer) => hands.finished(parcel, recipients, verdicts, peer),
    giveBack: (parcels, delayMs) => hands.giveBack(parcels, delayMs),
  });
}
