/**
 * Opens SMTP connections: the only file that does, and that knows nodemailer. Its SMTPConnection does greeting, EHLO, TLS,
 * AUTH and the reading of replies; what is said after that is delivery/conversation's.
 *
 * Invariant: credentials are sent over TLS only, with a certificate that was verified for the host.
 * On failure: resolves to why, with the peer's reply if there was one; nothing is thrown.
 */
import { isIP } from "node:net";
import type { ConnectionOptions } from "node:tls";
import SMTPConnection from "nodemailer/lib/smtp-connection";
import type { Peer } from "./envelope.ts";
import { type Failure, outOfStepText } from "./outcome.ts";
import type { TlsMode } from "./route.ts";
import type { Watch } from "./watch.ts";

export type Endpoint = Readonly<{
  /** The name that certificates are verified for and that attempts show. */
  host: string;
  /** Where to connect to; the name is looked up when absent. */
  address?: string;
  port: number;
  tls: TlsMode;
  credentials: Readonly<{ user: string; pass: string }> | null;
}>;

/** Milliseconds: connecting, and greeting, EHLO, TLS and AUTH together. */
export type SetupPatience = Readonly<{ connect: number; setup: number }>;

export type TransportOptions = Readonly<{
  hostname: string; // what EHLO says
  patience: SetupPatience;
  watch: Watch;
  /** Authorities to trust besides the system's. */
  ca?: string | undefined;
}>;

export type WireHooks = Readonly<{
  /** One complete reply, for each that was expected. Lines are joined by LF. */
  reply(raw: string): void;
  /** Once, at the latest news of this wire. */
  broken(failure: Failure): void;
  expired(): void;
}>;

export interface Wire {
  readonly peer: Peer;
  attach(hooks: WireHooks): void;
  /** So many replies more are due. What comes unexpected breaks the wire, and what came along with it is not passed on. */
  expect(replies: number): void;
  /** One write. */
  send(text: string): void;
  /** One write. False: better wait for `drained`. */
  sendParts(parts: readonly Uint8Array[], text: string): boolean;
  /** Resolves when there is room, or when the wire is broken. */
  drained(): Promise<void>;
  /** Milliseconds until `expired`, replacing what was set before. */
  patience(ms: number): void;
  /** Ends it at once. */
  destroy(): void;
}

/** nodemailer's class with the members that are used beyond its documented ones; test/delivery/nodemailer.test.ts guards them. */
export class Line extends SMTPConnection {
  declare _responseActions: ((reply: string) => void)[];
  declare _responseQueue: string[];
  declare _supportedExtensions: string[];
  declare _maxAllowedSize: number;
  declare _onError: (error: Error, code: string, reply: string | false, command: string) => void;
  /** Ours: greeting, EHLO, TLS and AUTH are behind us. */
  isReady = false;

  /** The library waits for a turn of the event loop after each reply; those of a pipelined envelope came together. */
  _processResponse(): void {
    const surplus = this.#surplus();
    if (surplus !== undefined) {
      this._onError(new Error(outOfStepText(surplus)), OUT_OF_STEP, this._responseQueue[0] ?? false, "CONN");
      return;
    }
    while (this.isReady && this._responseActions.length > 0 && PLAIN_REPLY.test(this._responseQueue[0] ?? "")) {
      const reply = this._responseQueue.shift() as string;
      this.lastServerResponse = reply;
      this._responseActions.shift()?.(reply);
    }
    if (this._responseQueue.length > 0) libraryTakes.call(this);
  }

  /**
   * What came together is judged together, before any of it is believed: a reply more than there were commands may be
   * anywhere among them. An empty line is none, and who sends one may have broken a reply in two. 421 may come at any time.
   */
  #surplus(): string | undefined {
    const { _responseQueue: queue, _responseActions: due } = this;
    if (this.isReady && queue.some(isEmpty)) return "an empty line";
    if (queue.length <= due.length) return undefined;
    return queue.filter((reply) => !isEmpty(reply) && !reply.startsWith("421"))[due.length];
  }
}

const libraryTakes = (SMTPConnection.prototype as unknown as { _processResponse(): void })._processResponse;

/** One line of ASCII, and not 421, after which the library closes. */
const PLAIN_REPLY = /^(?!421)[2-5]\d\d [ -~]*$/;

const isEmpty = (reply: string) => reply.trim() === "";

const OUT_OF_STEP = "EOUTOFSTEP";

type LineError = Error & { code?: string; originalCode?: string; response?: string | false };

export async function openWire(endpoint: Endpoint, options: TransportOptions): Promise<Wire | Failure> {
  const opened = await open(endpoint, endpoint.tls, options);
  // RFC 7435: a broken TLS is no worse than none, where none was asked for.
  const broken = "why" in opened && opened.why === "tls" && endpoint.tls === "opportunistic";
  return broken ? open(endpoint, "none", options) : opened;
}

export function isFailure(opened: object): opened is Failure {
  return "why" in opened;
}

function open(endpoint: Endpoint, tls: TlsMode, options: TransportOptions): Promise<Wire | Failure> {
  return new Promise((resolve) => {
    const line = new Line(lineOptions(endpoint, tls, options));
    const wire = new LineWire(line, endpoint.host, options);
    const fail = (error: unknown) => {
      resolve(failureOf(line, error as LineError));
      wire.destroy();
    };
    wire.attach({ reply: () => {}, broken: resolve, expired: () => fail(lineError("ETIMEDOUT", "Timeout")) });
    line.connect((error) => {
      if (error) return fail(error);
      if (endpoint.credentials === null) return resolve(wire.opened());
      if (!line.secure) return fail(lineError("ETLS", "The password is not sent without TLS"));
      if (!line.allowsAuth) return fail(lineError("EAUTH", "The server offers no AUTH"));
      line.login({ ...endpoint.credentials }, (refused) => {
        if (refused) fail(refused);
        else resolve(wire.opened());
      });
    });
  });
}

function lineError(code: string, message: string): LineError {
  return Object.assign(new Error(message), { code });
}

const TLS_ERROR = /^(ERR_SSL|ERR_TLS|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|EPROTO)/;

function failureOf(line: Line, { code, originalCode, message, response }: LineError): Failure {
  const reply = response || null;
  const text = reply === null ? message : message.slice(0, message.length - reply.length).replace(/[:. ]+$/, "");
  const why = (): Failure["why"] => {
    if (code === OUT_OF_STEP) return "out-of-step";
    if (code === "EDNS") return "dns";
    if (code === "ETLS" || line.upgrading || TLS_ERROR.test(originalCode ?? "")) return "tls";
    if (code === "EAUTH") return "auth";
    if (line.stage === "init") return "connect";
    if (code === "ETIMEDOUT") return "timeout";
    if (reply !== null) return line.isReady ? "protocol" : "greeting";
    return code === "EPROTOCOL" ? "protocol" : "lost";
  };
  return { why: why(), text, reply };
}

function lineOptions(endpoint: Endpoint, tls: TlsMode, { hostname, patience, ca }: TransportOptions) {
  const verified: ConnectionOptions = {
    minVersion: "TLSv1.2",
    rejectUnauthorized: tls !== "opportunistic",
    ...(ca === undefined ? {} : { ca }),
  };
  return {
    host: endpoint.address ?? endpoint.host,
    ...(isIP(endpoint.host) === 0 ? { servername: endpoint.host } : {}),
    port: endpoint.port,
    name: hostname,
    secure: tls === "implicit",
    requireTLS: tls === "required",
    opportunisticTLS: tls === "opportunistic",
    ignoreTLS: tls === "none",
    tls: verified,
    // Our watch is stricter; these only stand in for it.
    connectionTimeout: patience.setup,
    greetingTimeout: patience.setup,
    socketTimeout: 3_600_000,
    socketCloseTimeout: 0,
    maxResponseSize: 64 * 1024,
  };
}

class LineWire implements Wire {
  peer: Peer;
  deadlineAt: number;
  readonly #line: Line;
  readonly #options: TransportOptions;
  #hooks: WireHooks | undefined;
  readonly #setupEndsAt: number;
  #broken = false;
  #drained: (() => void) | undefined;
  readonly #onReply = (raw: string): void => this.#hooks?.reply(raw);

  constructor(line: Line, host: string, options: TransportOptions) {
    this.#line = line;
    this.#options = options;
    this.peer = { host, pipelining: false, dsn: false, eightBit: false, utf8: false, size: false, maxBytes: 0 };
    this.deadlineAt = performance.now() + options.patience.connect;
    options.watch.add(this);
    this.#setupEndsAt = performance.now() + options.patience.setup;
    line.on("error", (error: LineError) => this.#break(failureOf(line, error)));
    line.on("end", () => this.#break({ why: "lost", text: "The connection was closed", reply: null }));
  }

  opened(): this {
    this.#line.isReady = true;
    const offered = (name: string) => this.#line._supportedExtensions.includes(name);
    this.peer = {
      host: this.peer.host,
      pipelining: offered("PIPELINING"),
      dsn: offered("DSN"),
      eightBit: offered("8BITMIME"),
      utf8: offered("SMTPUTF8"),
      size: offered("SIZE"),
      maxBytes: this.#line._maxAllowedSize || 0,
    };
    return this;
  }

  attach(hooks: WireHooks): void {
    this.#hooks = hooks;
  }

  expect(replies: number): void {
    for (let i = 0; i < replies; i += 1) this.#line._responseActions.push(this.#onReply);
  }

  send(text: string): void {
    const socket = this.#line._socket;
    if (!this.#broken && socket) socket.write(text);
  }

  sendParts(parts: readonly Uint8Array[], text: string): boolean {
    const socket = this.#line._socket;
    if (this.#broken || !socket) return true;
    socket.cork();
    for (const part of parts) socket.write(part);
    if (text !== "") socket.write(text);
    socket.uncork();
    return !socket.writableNeedDrain;
  }

  drained(): Promise<void> {
    const socket = this.#line._socket;
    if (this.#broken || !socket || !socket.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drained = resolve;
      socket.once("drain", resolve);
    });
  }

  patience(ms: number): void {
    this.deadlineAt = performance.now() + ms;
  }

  expired(): void {
    const connected = this.#line.stage === "connected" && !this.#line.isReady;
    this.deadlineAt = connected && performance.now() < this.#setupEndsAt ? this.#setupEndsAt : Number.POSITIVE_INFINITY;
    if (this.deadlineAt === Number.POSITIVE_INFINITY) this.#hooks?.expired();
  }

  destroy(): void {
    this.#line.close();
  }

  #break(failure: Failure): void {
    if (this.#broken) return;
    this.#broken = true;
    this.#options.watch.remove(this);
    this.#drained?.();
    this.#hooks?.broken(failure);
  }
}
