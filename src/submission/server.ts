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
import type { HandlerDeps, SubmissionDeps } from "./deps.ts";
import { createHandlers, secureHandler } from "./handlers.ts";
import { createConnectionCounter, defaultLimits, type Limits, overdue } from "./limits.ts";
import { type Listener, type ListenerOptions, listen } from "./listener.ts";
import { createMemory } from "./memory.ts";
import { createPacing } from "./pacing.ts";
import { createNetworks } from "./proxy.ts";
import * as replies from "./replies.ts";
import { createSlabs } from "./slabs.ts";

export interface Submission extends AsyncDisposable {
  readonly ports: Readonly<{ submission: number; submissions: number | null }>;
  /**
   * Stops listening, answers 421 to who is between two messages, lets a message that was begun, or the first one of who has
   * just come, be sent: its client would show the 421 as an error. What is not done after `patienceMs`
   * (`limits.drainMs` unless given) is cut off. Disposal drains, too.
   */
  drain(patienceMs?: number): Promise<void>;
}

const SWEEP_MS = 1_000;
const TELL_MS = 100; // between looks at who can be told that the program ends
const UNUSED = ["WIZ", "SHELL", "KILL", "XCLIENT", "XFORWARD"];
const LOOPBACK = ["127.0.0.0/8", "::1"];

export async function startSubmission(deps: SubmissionDeps): Promise<Submission> {
  const limits = limitsOf(deps);
  const counter = createConnectionCounter(limits.maxConnectionsPerClient);
  const memory = createMemory(limits.maxReceivingBytes);
  const slabs = createSlabs();
  const pacing = createPacing();
  const crowd = createCrowd();
  const house = houseOf(deps, limits, () => crowd.draining);
  const closed = (connection: Connection) => {
    if (!crowd.leave(connection)) return;
    counter.leave(connection.peer.address);
    deps.metrics.connections.dec();
  };
  const openServer = (secure: boolean) => {
    const server = new SMTPServer(libraryOptions({ ...deps, memory, slabs, pacing }, secure, limits, closed));
    server.on("error", (error) => deps.log.info({ event: "session.error", err: error }, "a connection failed"));
    return server;
  };
  const greet = (server: SMTPServer, socket: Socket, peer: Peer) => {
    const connection = new Connection(server, socket, peer, house);
    connection.start();
    crowd.enter(connection);
    deps.metrics.connections.inc();
  };
  const listeners = await listenAll(deps, { counter, limits }, openServer, greet);
  const sweeper = setInterval(() => {
    sweep(crowd.all, limits, performance.now());
    memory.look();
  }, SWEEP_MS).unref();
  let drained: Promise<void> | undefined;
  const drain = (patienceMs = limits.drainMs) => {
    clearInterval(sweeper);
    for (const listener of listeners) listener.close();
    drained ??= crowd.drain(patienceMs);
    return drained;
  };
  return {
    ports: { submission: (listeners[0] as Listener).port, submissions: listeners[1]?.port ?? null },
    drain,
    [Symbol.asyncDispose]: () => drain(),
  };
}

/** All that are connected. */
function createCrowd() {
  const all = new Set<Connection>();
  let draining = false;
  let emptied = () => {};
  return {
    all,
    get draining() {
      return draining;
    },
    enter: (connection: Connection) => void all.add(connection),
    /** False when it was not there. */
    leave(connection: Connection): boolean {
      const there = all.delete(connection);
      if (all.size === 0) emptied();
      return there;
    },
    async drain(patienceMs: number) {
      draining = true;
      if (all.size === 0) return;
      const empty = new Promise<void>((resolve) => {
        emptied = resolve;
      });
      const tell = () => {
        for (const one of all) if (one.restful(performance.now())) one.reply(replies.shuttingDown);
      };
      tell();
      const telling = setInterval(tell, TELL_MS);
      const cut = setTimeout(() => {
        for (const connection of all) connection.destroy();
      }, patienceMs);
      await empty;
      clearInterval(telling);
      clearTimeout(cut);
    },
  };
}

function limitsOf({ config, limits }: SubmissionDeps): Limits {
  const { maxConnectionsPerClient, maxRecipients } = config;
  return { ...defaultLimits, maxConnectionsPerClient, maxCommands: maxRecipients + 100, ...limits };
}

function houseOf({ config, metrics, inDoubt }: SubmissionDeps, limits: Limits, draining: () => boolean): House {
  const loopback = createNetworks(config.authCleartext === "loopback" ? LOOPBACK : []);
  return {
    limits,
    draining,
    unheard: inDoubt.note,
    cleartextAllowed: ({ address, proxied }) => !proxied && loopback(address),
    replied: (code) => metrics.submissionReplies.inc({ code }),
  };
}

/** Certificates and names of brands, on both ports. Undefined where there are none: nothing is asked then. */
function sniOf({ brands, log }: Pick<SubmissionDeps, "brands" | "log">): ListenerOptions["sni"] {
  if (brands === undefined) return undefined;
  return {
    callback(name, done) {
      const found = brands.certificate(name);
      if (found instanceof Promise) void found.then((context) => done(null, context));
      else done(null, found);
    },
    servedAs(name) {
      const found = brands.find(name);
      if (!(found instanceof Promise)) return found?.host;
      return found.then(
        (brand) => brand?.host,
        (error: unknown) => void log.warn({ event: "session.unbranded", err: error }, "a brand's name was not used"),
      );
    },
  };
}

function libraryOptions(
  deps: HandlerDeps,
  secure: boolean,
  limits: Limits,
  closed: (connection: Connection) => void,
): SMTPServerOptions {
  const { config } = deps;
  const sni = sniOf(deps);
  return {
    ...deps.tls.context(),
    ...createHandlers(deps, limits, closed),
    ...(sni && { SNICallback: sni.callback }),
    ...(sni && !secure && { onSecure: secureHandler(sni.servedAs) }),
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
    socketTimeout: limits.commandMs + 2 * SWEEP_MS, // the sweeper comes first
    maxCommandLength: 16 * 1024,
    logger: false,
  };
}

type Greet = (server: SMTPServer, socket: Socket, peer: Peer) => void;
type Shares = Pick<ListenerOptions, "counter" | "limits">;

/** Both ports, or none. */
async function listenAll(
  deps: SubmissionDeps,
  shares: Shares,
  openServer: (secure: boolean) => SMTPServer,
  greet: Greet,
): Promise<Listener[]> {
  const { submissionHost: host, submissionPort, submissionsPort, trustedProxies } = deps.config;
  const failed = (error: unknown) =>
    deps.log.error({ event: "session.unopened", err: error }, "a connection could not be greeted");
  const common = { ...shares, host, trusted: createNetworks(trustedProxies), failed };
  const starttls = certified(openServer(false), deps);
  const options: ListenerOptions[] = [
    { ...common, port: submissionPort, opened: (socket, peer) => greet(starttls(), socket, peer) },
  ];
  if (submissionsPort !== 0) {
    const implicit = certified(openServer(true), deps);
    const sni = sniOf(deps);
    options.push({
      ...common,
      port: submissionsPort === "any" ? 0 : submissionsPort,
      secureContext: () => implicit().secureContext.get("*")!,
      ...(sni && { sni }),
      opened: (socket, peer) => greet(implicit(), socket, peer),
    });
  }
  const results = await Promise.allSettled(options.map(listen));
  const listeners = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const deaf = results.find((result) => result.status === "rejected");
  if (deaf === undefined) return listeners;
  for (const listener of listeners) listener.close();
  throw deaf.reason;
}

/** The server with the certificate that is in force. */
function certified(server: SMTPServer, { tls }: SubmissionDeps): () => SMTPServer {
  let inForce = tls.context().cert;
  return () => {
    const context = tls.context();
    if (context.cert !== inForce) server.updateSecureContext(context);
    inForce = context.cert;
    return server;
  };
}

/** Closes the connections whose time is up. */
function sweep(open: Iterable<Connection>, limits: Limits, nowMs: number): void {
  for (const connection of open) {
    const reply = overdue(connection, limits, nowMs);
    if (reply !== undefined) connection.reply(reply);
  }
}
