/**
 * The door for clients (RFC 6409): listens with STARTTLS on one port and with TLS from the start on another.
 *
 * Invariant: a failing listener leaves none open; after `drain` no connection is open, and no message that had its final
 * dot went without its answer, unless the answer took longer than the patience.
 */
import type { Socket } from "node:net";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { replyText } from "../mail/reply.ts";
import { Connection, type House, type Peer } from "./connection.ts";
import type { SubmissionDeps } from "./deps.ts";
import { createHandlers } from "./handlers.ts";
import { createConnectionCounter, defaultLimits, type Limits, overdue } from "./limits.ts";
import { type Listener, listen } from "./listener.ts";
import { createNetworks } from "./proxy.ts";
import * as replies from "./replies.ts";

export interface Submission extends AsyncDisposable {
  readonly ports: Readonly<{ submission: number; submissions: number | null }>;
  /** Uses the certificate that `tls.context()` gives now, for the next handshakes. */
  reloadTls(): void;
  /**
   * Stops listening, answers 421 to the idle, lets messages under way finish. What is not done after `patienceMs`
   * (25 s unless given) is cut off.
   */
  drain(patienceMs?: number): Promise<void>;
}

const SWEEP_MS = 1_000;
const UNUSED = ["WIZ", "SHELL", "KILL", "XCLIENT", "XFORWARD"];
const LOOPBACK = ["127.0.0.0/8", "::1"];

export async function startSubmission(deps: SubmissionDeps): Promise<Submission> {
  const { config } = deps;
  const limits = limitsOf(deps);
  const counter = createConnectionCounter(limits.maxConnectionsPerClient);
  const open = new Set<Connection>();
  let draining = false;
  let emptied = () => {};
  const house = houseOf(deps, limits, () => draining);
  const closed = (connection: Connection) => {
    open.delete(connection);
    counter.leave(connection.peer.address);
    deps.metrics.connections.dec();
    if (open.size === 0) emptied();
  };
  const servers = [false, true].map((secure) => new SMTPServer(libraryOptions(deps, secure, closed)));
  const [starttls, implicit] = servers as [SMTPServer, SMTPServer];
  for (const server of servers) {
    server.on("error", (error) => deps.log.info({ event: "session.error", err: error }, "a connection failed"));
  }
  const greet = (server: SMTPServer) => (socket: Socket, peer: Peer) => {
    const connection = new Connection(server, socket, peer, house);
    open.add(connection);
    deps.metrics.connections.inc();
    connection.start();
  };
  const common = { host: config.submissionHost, trusted: createNetworks(config.trustedProxies), counter, limits };
  const listeners = await listenAll([
    { ...common, port: config.submissionPort, opened: greet(starttls) },
    ...(config.submissionsPort === null
      ? []
      : [
          {
            ...common,
            port: config.submissionsPort,
            secureContext: () => implicit.secureContext.get("*")!,
            opened: greet(implicit),
          },
        ]),
  ]);
  const sweeper = setInterval(() => sweep(open, limits, performance.now()), SWEEP_MS).unref();

  async function stop(patienceMs: number): Promise<void> {
    draining = true;
    clearInterval(sweeper);
    for (const listener of listeners) listener.close();
    const empty = new Promise<void>((resolve) => {
      emptied = resolve;
    });
    if (open.size === 0) return;
    for (const connection of open) if (connection.idle) connection.reply(replies.shuttingDown);
    const cut = setTimeout(() => {
      for (const connection of open) connection.destroy();
    }, patienceMs);
    await empty;
    clearTimeout(cut);
  }

  return {
    ports: { submission: (listeners[0] as Listener).port, submissions: listeners[1]?.port ?? null },
    reloadTls() {
      for (const server of servers) server.updateSecureContext(deps.tls.context());
    },
    drain: (patienceMs = 25_000) => stop(patienceMs),
    [Symbol.asyncDispose]: () => stop(0),
  };
}

function limitsOf({ config, limits }: SubmissionDeps): Limits {
  const { maxConnectionsPerClient, maxRecipients } = config;
  return { ...defaultLimits, maxConnectionsPerClient, maxCommands: maxRecipients + 100, ...limits };
}

function houseOf({ config, metrics }: SubmissionDeps, limits: Limits, draining: () => boolean): House {
  const loopback = createNetworks(config.authCleartext === "loopback" ? LOOPBACK : []);
  return {
    limits,
    draining,
    cleartextAllowed: ({ address, proxied }) => !proxied && loopback(address),
    replied: (code) => metrics.submissionReplies.inc({ code }),
  };
}

function libraryOptions(
  deps: SubmissionDeps,
  secure: boolean,
  closed: (connection: Connection) => void,
): SMTPServerOptions {
  const { config } = deps;
  return {
    ...deps.tls.context(),
    ...createHandlers(deps, closed),
    secure,
    name: config.hostname,
    banner: "Postmeter",
    heloResponse: "%s",
    size: config.maxMessageBytes,
    authMethods: ["PLAIN", "LOGIN"],
    authRequiredMessage: replyText(replies.authenticationRequired),
    allowInsecureAuth: true, // connection.ts asks for TLS, before the library would
    disabledCommands: UNUSED,
    disableReverseLookup: true,
    hideENHANCEDSTATUSCODES: false,
    hideDSN: false,
    maxAllowedUnauthenticatedCommands: 20,
    socketTimeout: limitsOf(deps).commandMs + 2 * SWEEP_MS,
    maxCommandLength: 16 * 1024,
    logger: false,
  };
}

async function listenAll(options: readonly Parameters<typeof listen>[0][]): Promise<Listener[]> {
  const results = await Promise.allSettled(options.map(listen));
  const listeners = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failed = results.find((result) => result.status === "rejected");
  if (failed === undefined) return listeners;
  for (const listener of listeners) listener.close();
  throw failed.reason;
}

/** Closes the connections whose time is up. */
export function sweep(open: Iterable<Connection>, limits: Limits, nowMs: number): void {
  for (const connection of open) {
    const reply = overdue(connection, limits, nowMs);
    if (reply !== undefined) connection.reply(reply);
  }
}
