/**
 * The way to one peer: its turns, its connections, its breaker. Connections are kept and take message after message; more
 * are opened while work waits, up to a bound.
 *
 * Invariant: every parcel that was added comes out once: finished, failed or given back. Each kind of mail (fresh, claimed)
 * holds at most three quarters of the connections.
 * On failure: when no connection stands and a new one fails, one parcel bears it; after some in a row the breaker opens and
 * what waits is given back untried. A failure beside standing connections only stops growth for a while.
 */
import type { Breaker } from "./breaker.ts";
import type { Connection, ConversationHooks, Job } from "./conversation.ts";
import type { Peer, TaskRecipient } from "./envelope.ts";
import { decide, decideFailure, type Exchange, type Failure, type Verdict } from "./outcome.ts";
import { type Kind, kindOf, type Parcel } from "./parcel.ts";
import type { Slots } from "./slots.ts";
import { isForAnother, isStale, leftOver, makeJob } from "./transaction.ts";
import { isFailure } from "./transport.ts";
import { createTurns } from "./turns.ts";
import { createVetting, type Vetting } from "./vetting.ts";

export type Open = (hooks: ConversationHooks) => Promise<Connection | Failure>;

export type PoolOptions = Readonly<{
  connections: number;
  messagesPerConnection: number;
  /** Recipients of one transaction at most. */
  recipients: number;
  /** Whether an envelope may travel with the body before it, where the peer pipelines. */
  overlap: boolean;
  open: Open;
  breaker: Breaker;
  slots: Slots;
  /** The lease still stands and the message is now begun. */
  begin(parcel: Parcel): boolean;
  read(parcel: Parcel): AsyncIterable<Uint8Array>;
  finished(parcel: Parcel, recipients: readonly TaskRecipient[], verdicts: readonly Verdict[], peer: Peer | null): void;
  giveBack(parcels: readonly Parcel[], delayMs: number): void;
  /** Nothing waits and no connection stands. */
  quiet(): void;
}>;

export type Pool = Readonly<{
  add(parcel: Parcel): void;
  waiting(): number;
  /** Parcels of a kind that wait, and connections that carry them. */
  load(kind: Kind): number;
  connections(): number;
  breaker: Breaker;
  /** Takes nothing more; what waits is given back, what runs runs on. */
  stop(): void;
  /** Ends what runs. */
  destroy(failure: Failure): void;
}>;

type Member = { readonly connection: Connection; kind: Kind | null };

const NO_GROWTH_MS = 30_000;

export function createPool(options: PoolOptions): Pool {
  return new PeerPool(options);
}

class PeerPool implements Pool {
  readonly breaker: Breaker;
  readonly #options: PoolOptions;
  readonly #turns = createTurns();
  readonly #members = new Map<Connection, Member>();
  readonly #idle: Member[] = [];
  /** Connections at work, by the kind of their latest message. */
  readonly #busy = { fresh: 0, claimed: 0 };
  readonly #share: number;
  #connecting = 0;
  #noGrowthUntil = 0;
  #stopped = false;
  readonly #pump = (): void => this.#serve();
  readonly #fits: Vetting;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.breaker = options.breaker;
    this.#fits = createVetting({ ...options, again: (parcel) => this.#again(parcel) });
    this.#share = Math.max(1, options.connections - Math.floor(options.connections / 4));
  }

  add(parcel: Parcel): void {
    if (this.#stopped) {
      this.#options.giveBack([parcel], 0);
      return;
    }
    this.#turns.add(parcel);
    this.#serve();
  }

  waiting(): number {
    return this.#turns.waiting();
  }

  load(kind: Kind): number {
    return this.#turns.waiting(kind) + this.#busy[kind];
  }

  connections(): number {
    return this.#members.size;
  }

  stop(): void {
    this.#stopped = true;
    this.#giveBackAll(0);
    for (const { connection } of this.#idle.splice(0)) connection.quit();
  }

  destroy(failure: Failure): void {
    for (const connection of [...this.#members.keys()]) connection.destroy(failure);
  }

  #serve(): void {
    while (this.#idle.length > 0 && this.#turns.waiting() > 0) {
      const member = this.#idle.pop() as Member;
      if (member.connection.isFree() && !this.#next(member)) break;
    }
    this.#grow();
    const stuck = this.#members.size + this.#connecting === 0 && this.breaker.isOpen();
    if (stuck) this.#giveBackAll(this.breaker.pauseMs());
  }

  /** Starts what is next on a free connection, else leaves it idle. */
  #next(member: Member): boolean {
    const { connection } = member;
    if (!connection.isFree()) return false;
    const spent = connection.used >= this.#options.messagesPerConnection;
    const job = spent ? null : this.#take(member);
    if (job !== null) {
      connection.start(job);
      return true;
    }
    this.#occupy(member, null);
    if (spent || this.#stopped) connection.quit();
    else this.#idle.push(member);
    return false;
  }

  /** The next job for a connection, for now or behind what it is sending. */
  #take(member: Member): Job | null {
    const may = (kind: Kind) => this.#busy[kind] - (member.kind === kind ? 1 : 0) < this.#share;
    for (let parcel = this.#turns.take(may); parcel !== undefined; parcel = this.#turns.take(may)) {
      if (!this.#options.begin(parcel)) continue;
      if (this.#fits(parcel, member.connection.peer)) {
        this.#occupy(member, kindOf(parcel));
        return this.#job(parcel);
      }
    }
    return null;
  }

  #job(parcel: Parcel): Job {
    const { recipients, read } = this.#options;
    return makeJob(
      parcel,
      recipients,
      () => read(parcel),
      (sent, exchange, connection) => this.#finished(parcel, sent, exchange, connection),
    );
  }

  #finished(parcel: Parcel, sent: readonly TaskRecipient[], exchange: Exchange, connection: Connection): void {
    if (!parcel.stale && connection.used > 1 && isStale(exchange)) this.#again({ ...parcel, stale: true });
    else this.#conclude(parcel, sent, decide(exchange), connection.peer);
    const member = this.#members.get(connection);
    if (member !== undefined && connection.isFree()) this.#next(member);
  }

  /** Reports what has a verdict; the rest of the recipients goes in another transaction. */
  #conclude(parcel: Parcel, sent: readonly TaskRecipient[], verdicts: readonly Verdict[], peer: Peer): void {
    const { finished } = this.#options;
    const rest = leftOver(parcel, sent, verdicts);
    if (rest.length === 0) {
      finished(parcel, sent, verdicts, peer);
      return;
    }
    this.#again({ ...parcel, recipients: rest });
    const decided = (_: unknown, i: number) => !isForAnother(verdicts[i]);
    finished(parcel, sent.filter(decided), verdicts.filter(decided), peer);
  }

  #again(parcel: Parcel): void {
    if (this.#stopped) {
      this.#options.giveBack([parcel], 0);
      return;
    }
    this.#turns.addFirst(parcel);
    queueMicrotask(this.#pump);
  }

  #occupy(member: Member, kind: Kind | null): void {
    if (member.kind === kind) return;
    if (member.kind !== null) this.#busy[member.kind] -= 1;
    if (kind !== null) this.#busy[kind] += 1;
    member.kind = kind;
  }

  #grow(): void {
    const { connections, slots } = this.#options;
    while (
      !this.#stopped &&
      this.#turns.waiting() > this.#connecting + this.#idle.length &&
      this.#members.size + this.#connecting < connections &&
      (this.#members.size === 0 || performance.now() >= this.#noGrowthUntil)
    ) {
      if (!slots.acquire(this.#pump)) return;
      if (!this.breaker.admit()) {
        slots.release();
        return;
      }
      this.#connecting += 1;
      void this.#connect();
    }
  }

  async #connect(): Promise<void> {
    const hooks: ConversationHooks = {
      more: (connection) => this.#more(connection),
      closed: (connection) => this.#closed(connection),
    };
    const opened = await this.#options.open(hooks).catch(unexpected);
    this.#connecting -= 1;
    if (isFailure(opened)) {
      this.#options.slots.release();
      this.#failed(opened);
      return;
    }
    this.breaker.succeeded();
    const member: Member = { connection: opened, kind: null };
    this.#members.set(opened, member);
    this.#next(member);
    this.#serve();
  }

  #more(connection: Connection): Job | null {
    const member = this.#members.get(connection);
    const may = this.#options.overlap && connection.used < this.#options.messagesPerConnection;
    return member !== undefined && may && !this.#stopped ? this.#take(member) : null;
  }

  #closed(connection: Connection): void {
    const member = this.#members.get(connection);
    if (member === undefined) return;
    this.#members.delete(connection);
    const at = this.#idle.indexOf(member);
    if (at !== -1) this.#idle.splice(at, 1);
    this.#occupy(member, null);
    this.#options.slots.release();
    this.#serve();
    this.#settleDown();
  }

  #failed(failure: Failure): void {
    if (this.#members.size > 0) this.#noGrowthUntil = performance.now() + NO_GROWTH_MS;
    else {
      if (this.breaker.failed() || failure.permanent !== undefined) this.#bear(failure);
      if (this.breaker.isOpen()) this.#giveBackAll(this.breaker.pauseMs());
    }
    this.#serve();
    this.#settleDown();
  }

  /** One parcel bears a failure to connect; all, when it is for good. */
  #bear(failure: Failure): void {
    const verdict = decideFailure(failure);
    do {
      const parcel = this.#turns.take(() => true);
      if (parcel === undefined) return;
      if (!this.#options.begin(parcel)) continue;
      this.#options.finished(
        parcel,
        parcel.recipients,
        parcel.recipients.map(() => verdict),
        null,
      );
    } while (failure.permanent !== undefined);
  }

  #giveBackAll(delayMs: number): void {
    const parcels = this.#turns.clear();
    if (parcels.length > 0) this.#options.giveBack(parcels, delayMs);
  }

  #settleDown(): void {
    if (this.#members.size + this.#connecting + this.#turns.waiting() === 0) this.#options.quiet();
  }
}

function unexpected(error: unknown): Failure {
  return { why: "connect", text: error instanceof Error ? error.message : "unknown", reply: null };
}
