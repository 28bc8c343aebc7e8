/**
 * A played SMTP server on loopback that answers what a test tells it at any stage, cuts the connection or says nothing.
 * It pipelines, keeps what it was sent, and is ended by its own handle.
 */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { afterAll } from "vitest";

/** Says nothing at all, or cuts the connection there. */
export const HANG = Symbol("hang");
export const CUT = Symbol("cut");
/** A reply without its line end, lines of a multiline reply are separated by LF; or what is done to the socket instead. */
export type Said = string | typeof HANG | typeof CUT | ((socket: net.Socket) => void);
/** `n`: how many commands of this kind have come before, on all connections. */
export type Line = (line: string, n: number, connection: number) => Said | undefined;

export type Script = Readonly<{
  greeting?: string | typeof HANG | typeof CUT | ((connection: number) => Said | undefined);
  /** Keywords after EHLO. STARTTLS is added where there is a certificate. */
  extensions?: readonly string[];
  helo?: Line; // EHLO too
  starttls?: Line;
  auth?: Line;
  mail?: Line;
  rcpt?: Line;
  data?: Line;
  /** On each piece of a message before its end. */
  body?: (bytesSoFar: number, connection: number) => Said | undefined;
  /** On the final dot. */
  end?: (message: Received, n: number) => Said | undefined | Promise<Said | undefined>;
  rset?: Line;
  quit?: Line;
  certificate?: Readonly<{ key: string; cert: string }>;
  implicitTls?: boolean;
  /** How replies are cut into writes: each goes out alone, after what came before. */
  pieces?: (reply: string) => readonly string[];
}>;

export type Received = Readonly<{
  connection: number;
  secure: boolean;
  mail: string; // the command
  rcpt: readonly string[];
  bytes: Buffer; // dots taken out again
}>;

export type Upstream = Readonly<{
  port: number;
  received: readonly Received[];
  /** All commands, and how many pieces of bytes they came in. */
  commands: readonly string[];
  /** Connections made so far, and those open now. */
  connections(): number;
  open(): number;
  /** Cuts all open connections. */
  cutAll(): void;
  /** Resolves when so many messages have come. */
  arrived(messages: number): Promise<void>;
}> &
  AsyncDisposable;

export const everything = ["PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES"];

export async function startUpstream(script: Script = {}): Promise<Upstream> {
  const house = new House(script);
  const server =
    script.implicitTls && script.certificate
      ? tls.createServer(script.certificate, (socket) => house.welcome(socket, true))
      : net.createServer((socket) => house.welcome(socket, false));
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  let closed = false;
  const dispose = async () => {
    if (closed) return;
    closed = true;
    house.cutAll();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  afterAll(dispose);
  return {
    port: (server.address() as net.AddressInfo).port,
    received: house.received,
    commands: house.commands,
    connections: () => house.connections,
    open: () => house.sockets.size,
    cutAll: () => house.cutAll(),
    arrived: (messages) => house.arrived(messages),
    [Symbol.asyncDispose]: dispose,
  };
}

class House {
  readonly script: Script;
  readonly received: Received[] = [];
  readonly commands: string[] = [];
  readonly sockets = new Set<net.Socket>();
  connections = 0;
  readonly #counts = new Map<string, number>();
  #waiting: { messages: number; resolve: () => void }[] = [];

  constructor(script: Script) {
    this.script = script;
  }

  welcome(socket: net.Socket, secure: boolean): void {
    this.connections += 1;
    new Session(this, socket, this.connections, secure);
  }

  /** How often this was asked before. */
  count(name: string): number {
    const n = this.#counts.get(name) ?? 0;
    this.#counts.set(name, n + 1);
    return n;
  }

  keep(message: Received): void {
    this.received.push(message);
    for (const { messages, resolve } of this.#waiting) if (this.received.length >= messages) resolve();
    this.#waiting = this.#waiting.filter(({ messages }) => this.received.length < messages);
  }

  arrived(messages: number): Promise<void> {
    if (this.received.length >= messages) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ messages, resolve }));
  }

  cutAll(): void {
    for (const socket of this.sockets) socket.destroy();
  }
}

class Session {
  readonly #house: House;
  readonly #number: number;
  #socket: net.Socket;
  #secure: boolean;
  #buffer = Buffer.alloc(0);
  /** What of a message has come before the buffer; its end is looked for in the buffer alone. */
  #body: Buffer[] = [];
  #mail = "";
  #rcpt: string[] = [];
  #inData = false;
  #stopped = false; // hanging or cut
  #busy = false; // an answer is being made
  #writing = Promise.resolve();

  constructor(house: House, socket: net.Socket, number: number, secure: boolean) {
    this.#house = house;
    this.#number = number;
    this.#secure = secure;
    this.#socket = socket;
    this.#listen(socket);
    const { greeting } = house.script;
    const said = typeof greeting === "function" ? greeting(number) : greeting;
    this.#say(said ?? "220 upstream.example ESMTP");
  }

  #listen(socket: net.Socket): void {
    const { sockets } = this.#house;
    sockets.add(socket);
    socket.setNoDelay(true); // replies to a pipelined group are as many small writes
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk) => {
      this.#buffer = Buffer.concat([this.#buffer, chunk]);
      void this.#read();
    });
  }

  async #read(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    while (!this.#stopped && (this.#inData ? await this.#takeBody() : this.#takeLine()));
    this.#busy = false;
  }

  #takeLine(): boolean {
    const end = this.#buffer.indexOf("\r\n");
    if (end === -1) return false;
    const line = this.#buffer.toString("utf8", 0, end);
    this.#buffer = this.#buffer.subarray(end + 2);
    this.#house.commands.push(line);
    this.#answer(line);
    return true;
  }

  #answer(line: string): void {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === "STAR") this.#upgrade(line);
    else this.#say(this.#replyTo(verb, line));
    if (verb === "QUIT") void this.#writing.then(() => this.#socket.end());
  }

  #replyTo(verb: string, line: string): Said {
    switch (verb) {
      case "EHLO":
      case "HELO":
        return this.#ask("helo", line) ?? (verb === "EHLO" ? this.#ehlo() : "250 upstream.example");
      case "AUTH":
        return this.#ask("auth", line) ?? "235 2.7.0 Welcome";
      case "MAIL":
        this.#mail = line;
        this.#rcpt = [];
        return this.#ask("mail", line) ?? "250 2.1.0 Sender ok";
      case "RCPT": {
        const said = this.#ask("rcpt", line) ?? "250 2.1.5 Recipient ok";
        if (isPositive(said)) this.#rcpt.push(line);
        return said;
      }
      case "DATA": {
        const said = this.#ask("data", line) ?? (this.#rcpt.length > 0 ? "354 Go ahead" : "554 5.5.1 No recipients");
        this.#inData = typeof said === "string" && said.startsWith("3");
        return said;
      }
      case "RSET":
        return this.#ask("rset", line) ?? "250 2.0.0 Reset";
      case "QUIT":
        return this.#ask("quit", line) ?? "221 2.0.0 Bye";
      default:
        return this.#ask("auth", line) ?? "500 5.5.2 Unknown";
    }
  }

  #ask(name: "helo" | "auth" | "mail" | "rcpt" | "data" | "rset" | "quit", line: string): Said | undefined {
    return this.#house.script[name]?.(line, this.#house.count(name), this.#number);
  }

  #ehlo(): string {
    const { extensions = everything, certificate, implicitTls } = this.#house.script;
    const offered = certificate && !implicitTls && !this.#secure ? [...extensions, "STARTTLS"] : extensions;
    return ["upstream.example", ...offered]
      .map((word, i) => `250${i === offered.length ? " " : "-"}${word}`)
      .join("\n");
  }

  #upgrade(line: string): void {
    const { certificate, starttls } = this.#house.script;
    const said = starttls?.(line, this.#house.count("starttls"), this.#number);
    if (certificate === undefined || said !== undefined) {
      this.#say(said ?? "502 5.5.1 No TLS here");
      return;
    }
    this.#say("220 2.0.0 Go ahead");
    void this.#writing.then(() => this.#secureWith(certificate));
  }

  #secureWith(certificate: Readonly<{ key: string; cert: string }>): void {
    const plain = this.#socket;
    plain.removeAllListeners("data");
    this.#socket = new tls.TLSSocket(plain, { isServer: true, ...certificate });
    this.#secure = true;
    this.#listen(this.#socket);
  }

  async #takeBody(): Promise<boolean> {
    const atStart = this.#body.length === 0 && this.#buffer.subarray(0, 3).equals(Buffer.from(".\r\n"));
    const end = atStart ? -2 : this.#buffer.indexOf("\r\n.\r\n");
    if (end === -1) {
      const settled = Math.max(0, this.#buffer.length - 4);
      if (settled > 0) this.#body.push(this.#buffer.subarray(0, settled));
      this.#buffer = this.#buffer.subarray(settled);
      const said = this.#house.script.body?.(
        this.#body.reduce((sum, part) => sum + part.length, 0),
        this.#number,
      );
      if (said !== undefined) this.#say(said);
      return false;
    }
    const stuffed = Buffer.concat([...this.#body, this.#buffer.subarray(0, end + 2)]).toString("latin1");
    this.#body = [];
    this.#buffer = this.#buffer.subarray(end + 5);
    this.#inData = false;
    const bytes = Buffer.from(stuffed.replace(/(^|\n)\./g, "$1"), "latin1");
    const message = { connection: this.#number, secure: this.#secure, mail: this.#mail, rcpt: this.#rcpt, bytes };
    const said = (await this.#house.script.end?.(message, this.#house.count("end"))) ?? "250 2.0.0 Queued as 4711";
    if (isPositive(said)) this.#house.keep(message);
    this.#say(said);
    return true;
  }

  #write(reply: string): void {
    const { pieces = (whole) => [whole] } = this.#house.script;
    const socket = this.#socket;
    const writeAll = async () => {
      for (const [n, piece] of pieces(reply).entries()) {
        if (n > 0) await new Promise(setImmediate); // or they may arrive as one
        socket.write(piece);
      }
    };
    this.#writing = this.#writing.then(writeAll);
  }

  #say(said: Said): void {
    if (typeof said === "string") {
      this.#write(`${said.replaceAll("\n", "\r\n")}\r\n`);
      if (!said.startsWith("421")) return;
      this.#stopped = true;
      void this.#writing.then(() => this.#socket.end());
      return;
    }
    this.#stopped = true;
    void this.#writing.then(() => {
      if (said === CUT) this.#socket.destroy();
      if (typeof said === "function") said(this.#socket);
    });
  }
}

const isPositive = (said: Said) => typeof said === "string" && said.startsWith("2");
