/**
 * What is said over an open wire, message after message (RFC 5321 3.3). It differs from what libraries do: every reply is
 * kept per recipient as it came, DSN parameters are per recipient, and it knows whether the final dot was sent. Where the
 * peer pipelines (RFC 2920) an envelope is one write, and the next one travels in the same write as the body before it.
 *
 * Invariant: every job that was started is finished exactly once, with all replies that came; the final dot is sent only
 * when all of a message was read and written; a peer whose replies do not fit the commands is not listened to any more.
 */
import type { Task } from "../spool/message.ts";
import { envelopeCommands, type Peer, type TaskRecipient } from "./envelope.ts";
import { type Exchange, type Failure, legible, outOfStepText } from "./outcome.ts";
import { asked, isOutOfStep, type Step } from "./step.ts";
import { createStuffing } from "./stuffing.ts";
import type { Wire } from "./transport.ts";

export interface Job {
  readonly task: Task;
  readonly recipients: readonly TaskRecipient[];
  /** Filled in as the replies come. */
  readonly exchange: Exchange;
  /** The content, when the task does not hold it. */
  read(): AsyncIterable<Uint8Array>;
  finished(connection: Connection): void;
}

export interface Connection {
  readonly peer: Peer;
  /** Messages begun. */
  readonly used: number;
  /** Whether start() may be called: alive and nothing under way. */
  isFree(): boolean;
  start(job: Job): void;
  /** Says goodbye. Only when free. */
  quit(): void;
  /** Ends it now; jobs under way are finished with this failure. */
  destroy(failure: Failure): void;
}

/** Milliseconds, RFC 5321 4.5.3.2: for a command, for progress of a body, for the answer to the final dot; kept idle. */
export type Patience = Readonly<{ command: number; body: number; end: number; idle: number }>;

export type ConversationHooks = Readonly<{
  /** A job to send along with the body before it. Null: none. */
  more(connection: Connection): Job | null;
  /** Once; jobs are finished by then. */
  closed(connection: Connection, failure: Failure): void;
}>;

const QUIT_MS = 5_000;

export function converse(wire: Wire, patience: Patience, hooks: ConversationHooks): Connection {
  return new Conversation(wire, patience, hooks);
}

class Conversation implements Connection {
  readonly peer: Peer;
  used = 0;
  readonly #wire: Wire;
  readonly #patience: Patience;
  readonly #hooks: ConversationHooks;
  /** The one whose replies come, and the one whose envelope went along with its body. */
  #job: Job | null = null;
  #ahead: Job | null = null;
  #step: Step = "idle";
  /** Commands still to be sent one by one: the peer does not pipeline. */
  #unsent: string[] = [];
  #answered = 0; // recipients
  #dirty = false; // a transaction was left open
  #failure: Failure | null = null;

  constructor(wire: Wire, patience: Patience, hooks: ConversationHooks) {
    this.peer = wire.peer;
    this.#wire = wire;
    this.#patience = patience;
    this.#hooks = hooks;
    wire.attach({
      reply: (raw) => this.#reply(raw),
      broken: (failure) => this.#broken(failure),
      expired: () => this.#expired(),
    });
    wire.patience(patience.idle);
  }

  isFree(): boolean {
    return this.#step === "idle" && this.#failure === null;
  }

  start(job: Job): void {
    this.#wire.send(this.#begin(job));
  }

  quit(): void {
    this.#step = "quit";
    this.#wire.patience(QUIT_MS);
    this.#wire.expect(1);
    this.#wire.send("QUIT\r\n");
  }

  destroy(failure: Failure): void {
    this.#failure ??= failure;
    this.#wire.destroy();
  }

  /** What to write for the envelope of a job, which is then under way. */
  #begin(job: Job): string {
    this.used += 1;
    if (this.#job === null) {
      this.#job = job;
      this.#enter();
    } else this.#ahead = job;
    const commands = envelopeCommands(job.task, job.recipients, this.peer);
    if (this.#dirty) commands.unshift("RSET");
    if (!this.peer.pipelining) {
      this.#unsent = commands;
      this.#wire.expect(1);
      return `${this.#unsent.shift()}\r\n`;
    }
    this.#wire.expect(commands.length);
    return `${commands.join("\r\n")}\r\n`;
  }

  #enter(): void {
    this.#step = this.#dirty ? "reset" : "mail";
    this.#answered = 0;
    this.#wire.patience(this.#patience.command);
  }

  #reply(said: string): void {
    const raw = legible(said);
    if (raw.startsWith("421")) this.#failure ??= { why: "closing", text: "The server is closing", reply: raw };
    if (this.#step === "quit") {
      this.#wire.destroy();
      return;
    }
    const job = this.#job;
    if (job === null) return;
    this.#wire.patience(this.#patience.command);
    this.#take(job, raw);
    if (this.#job === job && this.#unsent.length > 0 && this.#failure === null) this.#sendNext(job);
  }

  #take(job: Job, raw: string): void {
    const { exchange } = job;
    if (isOutOfStep(this.#step, raw)) {
      this.destroy({ why: "out-of-step", text: outOfStepText(raw), reply: null });
      return;
    }
    switch (this.#step) {
      case "reset":
        this.#dirty = false;
        this.#step = "mail";
        if (!raw.startsWith("2")) this.destroy({ why: "protocol", text: "RSET was refused", reply: raw });
        break;
      case "mail":
        exchange.mail = raw;
        this.#step = "rcpt";
        this.#dirty = raw.startsWith("2");
        if (!this.#dirty && !this.peer.pipelining) this.#finish(job);
        break;
      case "rcpt":
        exchange.rcpt[this.#answered] = raw;
        this.#answered += 1;
        if (this.#answered === job.recipients.length) this.#step = "data";
        break;
      case "data":
        this.#takeData(job, raw);
        break;
      case "body":
        this.destroy(answeredEarly(job, raw));
        break;
      default: // the final dot is answered
        if (this.#step === "end") exchange.end = raw;
        this.#dirty = false;
        this.#finish(job);
    }
  }

  /** The next command of a peer that does not pipeline. DATA only when a recipient was accepted. */
  #sendNext(job: Job): void {
    if (this.#unsent.length === 1 && !accepted(job)) {
      this.#finish(job);
      return;
    }
    this.#wire.expect(1);
    this.#wire.send(`${this.#unsent.shift()}\r\n`);
  }

  #takeData(job: Job, raw: string): void {
    const someAccepted = accepted(job);
    if (someAccepted) job.exchange.data = raw;
    if (!raw.startsWith("3")) this.#finish(job);
    else if (someAccepted) this.#sendBody(job);
    else if (!this.#dirty || job.exchange.rcpt.some(isUnclear)) {
      // An empty message would go to somebody, perhaps.
      this.destroy({ why: "protocol", text: "DATA was taken without sender or recipient", reply: raw });
    } else {
      // It took DATA with nobody to deliver to: an empty message ends that.
      this.#step = "void";
      this.#wire.expect(1);
      this.#wire.send(".\r\n");
    }
  }

  #sendBody(job: Job): void {
    this.#wire.expect(1);
    if (job.task.bytes === null) {
      this.#step = "body";
      void this.#stream(job);
      return;
    }
    const stuffing = createStuffing();
    const [only] = job.task.bytes;
    const pieces = job.task.bytes.length === 1 && only ? stuffing.add(only) : job.task.bytes.flatMap(stuffing.add);
    this.#endBody(job, pieces, stuffing.end());
  }

  #endBody(job: Job, pieces: readonly Uint8Array[], end: string): void {
    this.#step = "end";
    this.#dirty = false;
    this.#wire.patience(this.#patience.end);
    job.exchange.dotSent = true;
    const next = this.peer.pipelining && this.#failure === null ? this.#hooks.more(this) : null;
    this.#wire.sendParts(pieces, next === null ? end : end + this.#begin(next));
  }

  async #stream(job: Job): Promise<void> {
    const stuffing = createStuffing();
    try {
      for await (const part of job.read()) {
        if (this.#failure !== null) return;
        this.#wire.patience(this.#patience.body);
        if (!this.#wire.sendParts(stuffing.add(part), "")) await this.#wire.drained();
        if (this.#failure !== null) return;
      }
    } catch (error) {
      const text = error instanceof Error ? error.message : "unknown";
      return this.destroy({ why: "source", text: `The message could not be read: ${text}`, reply: null });
    }
    this.#endBody(job, [], stuffing.end());
  }

  #finish(job: Job): void {
    this.#unsent = [];
    this.#job = this.#ahead;
    this.#ahead = null;
    if (this.#job !== null) this.#enter();
    else {
      this.#step = "idle";
      this.#wire.patience(this.#patience.idle);
    }
    job.finished(this);
  }

  #expired(): void {
    if (this.#step === "idle") this.quit();
    else if (this.#step === "quit") this.#wire.destroy();
    else this.destroy({ why: "timeout", text: `No answer to ${asked[this.#step]} in time`, reply: null });
  }

  #broken(failure: Failure): void {
    const early = this.#step === "body" && failure.why === "out-of-step" && this.#job !== null;
    this.#failure ??= early ? answeredEarly(this.#job as Job, legible(failure.reply ?? "")) : failure;
    const jobs = [this.#job, this.#ahead];
    this.#job = null;
    this.#ahead = null;
    for (const job of jobs) {
      if (job === null) continue;
      job.exchange.failure = this.#failure;
      job.finished(this);
    }
    this.#hooks.closed(this, this.#failure);
  }
}

/** What is still to be sent would be read as commands, each with a reply of its own: only the first counts. */
function answeredEarly({ exchange }: Job, raw: string): Failure {
  if (/^[45]/.test(raw)) exchange.end = raw;
  return { why: "protocol", text: "The message was answered before its end", reply: raw };
}

function accepted({ exchange }: Job): boolean {
  return exchange.mail?.startsWith("2") === true && exchange.rcpt.some((reply) => reply?.startsWith("2"));
}

const isUnclear = (reply: string | null) => reply === null || !/^[245]/.test(reply);
