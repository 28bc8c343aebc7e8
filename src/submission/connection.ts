/**
 * smtp-server's connection with what a submission server needs of it changed. The only file that reaches into the library;
 * test/submission/library.test.ts fails when what is overridden here changes.
 *
 * Changed: no wait of 100 ms before the greeting; enhanced status codes on all replies, and only one on ours; TLS and AUTH
 * asked for by ourselves; an end for clients that send only commands or errors; a transaction of our own per session; the
 * name of a brand's host where the client asked for it; an eye on whether the client can have read a 250.
 *
 * It can't when, before anything else came from it behind its final dot, the connection failed or we cut it off: before
 * the 250 could be written, or within UNHEARD_MS after it, or later by a time-out of the system, which says that the 250 never
 * arrived. An end (FIN) that comes first counts, too: our side ends with it, and the 250 can't be written any more. One that
 * comes after the 250 is no failure. A client that has read the 250 and then resets can't be told from one that has not.
 */

import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { SMTPServer, SMTPServerSession } from "smtp-server";
import { SMTPConnection } from "smtp-server/lib/smtp-connection.js";
import type { SendingAccount } from "../accounts/authenticate.ts";
import { type Reply, replyText } from "../mail/reply.ts";
import type { Doubtful } from "../spool/message.ts";
import type { Limits, Progress } from "./limits.ts";
import { Parser } from "./parser.ts";
import * as replies from "./replies.ts";
import type { Session, Transaction } from "./session.ts";
import { handlerOf, ordinaryPath, positiveLine, verbOf } from "./short-way.ts";

/** Whoever is at the other end. `proxied`: a trusted proxy told us the address. `servedAs`: as in `Session`. */
export type Peer = Readonly<{ address: string; port: number; proxied: boolean; servedAs?: string | undefined }>;

/** What all connections of a server share. */
export type House = Readonly<{
  limits: Limits;
  /** AUTH without TLS is allowed to this peer. */
  cleartextAllowed: (peer: Peer) => boolean;
  draining: () => boolean;
  replied: (code: number) => void;
  /** The client can't have read the 250 of this message. */
  unheard: (doubtful: Doubtful) => void;
}>;

const connections = new WeakMap<SMTPServerSession, Connection>();

/** The connection that the library's handlers know by its session. */
export function connectionOf(session: SMTPServerSession): Connection {
  const connection = connections.get(session);
  if (connection === undefined) throw new Error("a session without a connection");
  return connection;
}

const OWN_STATUS = /^[245]\.\d{1,3}\.\d{1,3} /;
const CLOSING = 421; // commands are not read any more, but that something came says that the 250 was
const TLS_NEXT = 220; // the answer to STARTTLS must be out before the socket is wrapped
const GO_ON = 354;
const NEEDS_TLS = new Set(["AUTH", "MAIL", "RCPT", "DATA"]);
/** A client that is gone answers the 250 with a reset within a round trip; later ones end an idle connection. */
const UNHEARD_MS = 30_000;
/** While the program ends: from when on a client that has sent nothing yet, or has begun a message, is told to go. */
const HESITATION_MS = 1000;
const STALLED_MS = 5000;
const PROTOCOL_ERRORS = new Set([500, 501, 502, 503, 504, 530, 555]);

export class Connection extends SMTPConnection implements Session {
  transaction: Transaction | undefined;
  authFailures = 0;
  servedAs: string | undefined = undefined;
  phase: Progress["phase"] = "command";
  phaseSinceMs = performance.now();
  readonly openedAtMs = this.phaseSinceMs;
  readonly peer: Peer;
  readonly #house: House;
  readonly #cleartext: boolean; // AUTH without TLS is allowed
  #verb = "";
  #commands = 0;
  #errors = 0;
  #served = false; // it has sent a message
  #failed = false; // by an error or by us, while the client had not ended it
  #promised: Readonly<{ doubtful: Doubtful; atMs: number }> | undefined; // the last 250, while nothing came after it

  constructor(server: SMTPServer, socket: Socket | TLSSocket, peer: Peer, house: House) {
    super(server, socket, { remoteAddress: peer.address, remotePort: peer.port });
    this.peer = peer;
    this.#house = house;
    this.#cleartext = house.cleartextAllowed(peer);
    connections.set(this.session, this);
    if (peer.servedAs !== undefined) this.serveAs(peer.servedAs);
  }

  /** Greets the client. */
  start(): void {
    this._server.connections.add(this);
    this.on("error", (error) => this._server.emit("error", error));
    this.init();
  }

  /** After the handshake: with TLS from the start that is before the greeting, with STARTTLS behind our own (RFC 5321 4.2). */
  serveAs(host: string): void {
    this.servedAs = host;
    this.name = host;
  }

  get clientAddress(): string {
    return this.peer.address;
  }

  get greetedAs(): string {
    return this.hostNameAppearsAs || "";
  }

  get tls(): boolean {
    return this.secure;
  }

  get mayAuthenticate(): boolean {
    return this.secure || this.#cleartext;
  }

  /** The library forgets it after STARTTLS (RFC 3207 4.2). */
  get account(): SendingAccount | undefined {
    return this.session.user || undefined;
  }

  set account(account: SendingAccount | undefined) {
    this.session.user = account;
  }

  get authenticated(): boolean {
    return this.account !== undefined;
  }

  /** Its client takes a 421 well: it is between two messages, and not about to send its first one. */
  restful(nowMs: number): boolean {
    if (this.phase !== "command") return false;
    const idleMs = nowMs - this.phaseSinceMs;
    if (this.transaction !== undefined) return idleMs >= STALLED_MS;
    return this.#served || idleMs >= HESITATION_MS;
  }

  enter(phase: Progress["phase"]): void {
    this.phase = phase;
    this.phaseSinceMs = performance.now();
    if (phase === "data") this.#served = true;
  }

  reply(reply: Reply): void {
    this.send(reply.code, replyText(reply));
  }

  /** The client has its answer: nothing more is taken from it when the program ends. */
  answered(): void {
    if (this.#house.draining() && this.restful(performance.now())) this.reply(replies.shuttingDown);
  }

  /** Ends the connection after the reply, whether the client closes its side or not. */
  dismiss(reply: Reply): void {
    this.reply(reply);
    this._socket.destroySoon();
  }

  /** Ends the connection at once, without a reply. */
  destroy(): void {
    this.#fail();
    this._socket.destroy();
  }

  /** The 250 for this message is about to be written. */
  promise(doubtful: Doubtful): void {
    if (this.#failed || !this._socket.writable) this.#house.unheard(doubtful);
    else this.#promised = { doubtful, atMs: performance.now() };
  }

  /** Something came behind the final dot: the 250 is read. */
  #heard(): void {
    this.#promised = undefined;
  }

  /** By its client. */
  get #ended(): boolean {
    return this._socket.readableEnded;
  }

  #fail(code?: string): void {
    if (this.#ended) return;
    this.#failed = true;
    const promised = this.#promised;
    this.#promised = undefined;
    if (promised === undefined) return;
    if (code === "ETIMEDOUT" || performance.now() - promised.atMs < UNHEARD_MS) this.#house.unheard(promised.doubtful);
  }

  override _onError(error: Error & { code?: string }): void {
    this.#fail(error.code);
    super._onError(error);
  }

  /** A message was accepted: this client is at work, and starts with clean counters. */
  progressed(): void {
    this.#commands = 0;
    this.#errors = 0;
  }

  /** Without the library's 100 ms for early talkers: a client waits for the greeting of a submission server. */
  override init(): void {
    this._setListeners(() => this.connectionReady());
  }

  /** Under a brand's host the greeting names no product of ours. */
  override _sendGreeting(): void {
    if (this.servedAs === undefined) super._sendGreeting();
    else this.send(220, `${this.servedAs} ESMTP`, false);
  }

  override _createParser(): Parser {
    const parser = new Parser({ maxCommandLength: this._server.options.maxCommandLength });
    parser.oncommand = (command, callback) => this._onCommand(command, callback);
    parser.on("error", (error) => this.send(CLOSING, `Error: ${error.message}`));
    return parser;
  }

  /** A reply of ours has its enhanced status code in its text; those of the library get one from the library. */
  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    const own = typeof data === "string" && OWN_STATUS.test(data);
    const line = (own && code === 250) || code === GO_ON ? `${code} ${data}` : positiveLine[context || ""];
    this.phaseSinceMs = performance.now();
    if (!(this._parser && (this._parser as Parser).alone)) this.#joinWrites();
    if (line !== undefined && this._socket.readyState === "open") this._socket.write(`${line}\r\n`, "latin1");
    else super.send(code, this.#shown(data), own ? false : context);
    if (code === TLS_NEXT) this._socket.uncork();
    if (code === CLOSING) this._socket.once("data", () => this.#heard());
    this.#house.replied(code);
    if (!PROTOCOL_ERRORS.has(code) || this.#verb === "RCPT") return;
    this.#errors += 1;
    if (this.#errors >= this.#house.limits.maxErrors) this.reply(replies.tooManyErrors);
  }

  #shown(data?: string | string[] | null): typeof data {
    return Array.isArray(data) && !this.mayAuthenticate ? data.filter((line) => !line.startsWith("AUTH ")) : data;
  }

  /** Replies to pipelined commands go out in one write: half of the work per message is writes to sockets. */
  #joinWrites(): void {
    const socket = this._socket;
    if (socket.writableCorked > 0) return;
    socket.cork();
    process.nextTick(() => socket.uncork());
  }

  override _onCommand(command: Buffer, callback?: () => void): void {
    this.#heard();
    const ended = this._upgrading || this._closing ? undefined : this.#verdict(command);
    if (ended !== undefined) this.reply(ended);
    else if (callback === undefined || !this.#ordinary(command, callback)) super._onCommand(command, callback);
    if (ended === replies.tlsRequired && callback) setImmediate(callback);
  }

  /** The short way for MAIL, RCPT and DATA of a client that is logged in. False: the library has to look at it. */
  #ordinary(command: Buffer, callback: () => void): boolean {
    const handler = handlerOf[this.#verb];
    if (handler === undefined || !this._ready || this._nextHandler || this._server._closeTimeout) return false;
    if (this.account === undefined || !this.hostNameAppearsAs) return false;
    const answered = () => {
      this._handlerPending = false;
      this._whenWritable(callback);
    };
    this._handlerPending = true;
    try {
      this[handler](command, answered);
    } catch (error) {
      this._server.logger.error({ err: error }, "a command failed");
      this.reply(replies.temporaryFailure);
      answered();
    }
    return true;
  }

  override _parseAddressCommand(name: string, command: Buffer): ReturnType<SMTPConnection["_parseAddressCommand"]> {
    const address = ordinaryPath(name, command.toString("latin1"));
    return address === undefined ? super._parseAddressCommand(name, command) : { address, args: false };
  }

  /** A reply in place of the command's own. All but `tlsRequired` close the connection. */
  #verdict(command: Buffer): Reply | undefined {
    const continued = this._nextHandler !== false; // a line of an AUTH exchange
    this.#verb = continued ? "AUTH" : verbOf(command);
    this.#commands += 1;
    if (this.#house.draining() && this.restful(performance.now())) return replies.shuttingDown;
    if (this.#commands > this.#house.limits.maxCommands) return replies.tooManyCommands;
    return NEEDS_TLS.has(this.#verb) && !this.mayAuthenticate ? replies.tlsRequired : undefined;
  }

  override _resetSession(): void {
    super._resetSession();
    this.transaction = undefined;
  }
}
