/**
 * From the accepted socket to one that may be greeted: PROXY header, share of the client, TLS handshake.
 *
 * Invariant: every socket has an error handler from its first moment on; none waits longer than `openMs` for its greeting;
 * a place of the client that was taken is given back here, unless the socket was handed over with it.
 */
import { createServer, type Server, type Socket } from "node:net";
import { type SecureContext, TLSSocket } from "node:tls";
import type { Soon } from "../accounts/recent.ts";
import { replyText } from "../mail/reply.ts";
import type { Peer } from "./connection.ts";
import type { ConnectionCounter, Limits } from "./limits.ts";
import { plainAddress, readProxyHeader } from "./proxy.ts";
import { tooManyConnections } from "./replies.ts";

export type ListenerOptions = Readonly<{
  host: string;
  port: number; // 0: a free one
  /** Set for implicit TLS: the context in force for the next handshake. */
  secureContext?: () => SecureContext;
  /** With TLS: another context for the name that a client asks for, and what it is then served as. */
  sni?: Readonly<{ callback: SniCallback; servedAs: ServedAs }>;
  trusted: (address: string) => boolean;
  counter: ConnectionCounter;
  limits: Limits;
  /** Takes over the socket and its place in the counter, unless it throws. */
  opened: (socket: Socket, peer: Peer) => void;
  /** Told of what should not happen: a context or a session that can't be made. */
  failed: (error: unknown) => void;
}>;

export type SniCallback = (name: string, done: (error: Error | null, context?: SecureContext) => void) => void;

/** The host of a brand; undefined: our own name. Never rejects. */
export type ServedAs = (servername: string) => Soon<string | undefined>;

export interface Listener {
  readonly port: number;
  /** Takes no new connection and drops those that are not greeted yet. */
  close(): void;
}

export async function listen(options: ListenerOptions): Promise<Listener> {
  const pending = new Set<Arrival>();
  const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
    socket.on("error", () => {}); // the session, or the close that follows, deals with it
    const arrival = { top: socket };
    pending.add(arrival);
    open(socket, arrival, options)
      .then((peer) => {
        if (peer === undefined) arrival.top.destroy();
        else handOver(arrival.top, peer, options);
      })
      .catch((error: unknown) => {
        arrival.top.destroy();
        options.failed(error);
      })
      .finally(() => pending.delete(arrival));
  });
  server.maxConnections = options.limits.maxConnections;
  await listening(server, options);
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    close() {
      server.close();
      for (const { top } of pending) top.destroy();
    },
  };
}

function listening(server: Server, { host, port }: ListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off("error", reject);
      server.on("error", () => {}); // e.g. out of file descriptors at one accept: the next may do
      resolve();
    });
  });
}

/** What stands on top of the connection, and is the one to destroy: a TLS socket must not lose its ground. */
type Arrival = { top: Socket };

async function open(raw: Socket, arrival: Arrival, options: ListenerOptions): Promise<Peer | undefined> {
  const { counter, limits, secureContext, sni } = options;
  const deadline = setTimeout(() => arrival.top.destroy(), limits.openMs);
  try {
    const peer = await identify(raw, options);
    if (peer === undefined) return undefined;
    if (!counter.enter(peer.address)) return await refuse(raw, options);
    let ready = false;
    let servedAs: string | undefined;
    try {
      if (secureContext !== undefined && !raw.destroyed) arrival.top = secure(raw, secureContext(), sni?.callback);
      const open = arrival.top === raw || (await handshake(arrival.top));
      const asked = open && sni !== undefined ? (arrival.top as TLSSocket).servername : undefined;
      if (asked) servedAs = await sni?.servedAs(asked); // the greeting says it
      ready = open && !arrival.top.destroyed;
    } finally {
      if (!ready) counter.leave(peer.address);
    }
    return ready ? { ...peer, servedAs } : undefined;
  } finally {
    clearTimeout(deadline);
  }
}

function handOver(socket: Socket, peer: Peer, { opened, counter }: ListenerOptions): void {
  try {
    opened(socket, peer);
  } catch (error) {
    counter.leave(peer.address);
    throw error;
  }
}

/** Over its share: told so where it can be told in clear. */
function refuse(socket: Socket, options: ListenerOptions): Promise<undefined> {
  if (options.secureContext !== undefined) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    socket.end(`${tooManyConnections.code} ${replyText(tooManyConnections)}\r\n`, () => resolve(undefined));
    socket.once("close", () => resolve(undefined));
  });
}

/**
 * A trusted peer without a PROXY header (a health check, a program on the proxy's machine) is served as itself, but never
 * as a client of this machine: a proxy that has lost its header must not open AUTH without TLS.
 */
async function identify(socket: Socket, { trusted, limits }: ListenerOptions): Promise<Peer | undefined> {
  const own = { address: plainAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
  if (own.address === "") return undefined;
  if (!trusted(own.address)) return { ...own, proxied: false };
  const client = await proxied(socket, limits.proxyHeaderMs);
  if (client === undefined) return undefined;
  return { address: plainAddress((client ?? own).address), port: (client ?? own).port, proxied: true };
}

/**
 * Reads the PROXY header and leaves what follows it, or what is no header, unread. Undefined when it is malformed; null:
 * the peer speaks for itself. A server speaks first in SMTP: silence of `waitMs` means that no header comes.
 */
function proxied(socket: Socket, waitMs: number): Promise<{ address: string; port: number } | null | undefined> {
  return new Promise((resolve) => {
    let seen = Buffer.alloc(0);
    const done = (client: { address: string; port: number } | null | undefined, headerBytes = 0) => {
      clearTimeout(silence);
      socket.off("readable", read);
      if (seen.length > headerBytes) socket.unshift(seen.subarray(headerBytes));
      seen = Buffer.alloc(0);
      resolve(client);
    };
    // What has arrived meanwhile is read first, however busy this process was.
    const silence = setTimeout(() => setImmediate(() => seen.length === 0 && done(null)), waitMs);
    const read = () => {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) seen = Buffer.concat([seen, chunk]);
      const header = readProxyHeader(seen);
      if (header.kind === "invalid") done(undefined, seen.length);
      else if (header.kind === "absent") done(null);
      else if (header.kind === "header") done(header.client, header.length);
    };
    socket.on("readable", read);
    socket.once("close", () => done(undefined, seen.length));
    socket.once("end", () => done(undefined, seen.length));
  });
}

function secure(raw: Socket, secureContext: SecureContext, sni: SniCallback | undefined): TLSSocket {
  const socket = new TLSSocket(raw, { isServer: true, secureContext, ...(sni && { SNICallback: sni }) });
  socket.on("error", () => {});
  return socket;
}

/** False when the client left or spoke no TLS. */
function handshake(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    socket.once("secure", () => resolve(true));
    socket.once("close", () => resolve(false));
    socket.once("error", () => resolve(false));
  });
}
