/**
 * A route: where mail leaves. `smtp://[user:pass@]host[:port][?tls=required|opportunistic|none]`, `smtps://`, `mx:`, `capture:`.
 *
 * Invariant: credentials never travel without verified TLS, and a route's name, which logs and attempts show, never holds them.
 */
import { Fault } from "../platform/errors.ts";
import { SANDBOX_ROUTE } from "../spool/message.ts";

/**
 * `implicit`: from the first byte. `required`: STARTTLS with a verified certificate, or nothing is sent.
 * `opportunistic`: STARTTLS where it works, unverified (RFC 7435). `none`: plain.
 */
export type TlsMode = "implicit" | "required" | "opportunistic" | "none";

export type SmtpRoute = Readonly<{
  kind: "smtp";
  name: string;
  host: string;
  port: number;
  tls: TlsMode;
  credentials: Readonly<{ user: string; pass: string }> | null;
  /** Connections kept at most; messages sent over one at most. */
  connections: number;
  messagesPerConnection: number;
}>;

export type MxRoute = Readonly<{
  kind: "mx";
  name: "mx:";
  /** Connections to one domain at most; messages sent over one at most. */
  connections: number;
  messagesPerConnection: number;
  /** Whether loopback and private addresses may be delivered to. */
  privateHosts: boolean;
}>;

export type CaptureRoute = Readonly<{ kind: "capture"; name: "capture:"; connections: number }>;

/** Of sandbox mail; nobody sets it up, and no setting leads away from it. */
export type SandboxRoute = Readonly<{ kind: "sandbox"; name: typeof SANDBOX_ROUTE; connections: number }>;
export const sandboxRoute: SandboxRoute = { kind: "sandbox", name: SANDBOX_ROUTE, connections: 8 };

export type Route = SmtpRoute | MxRoute | CaptureRoute | SandboxRoute;

const tlsModes: readonly string[] = ["required", "opportunistic", "none"];

/** @throws Fault invalid that says what is wrong; it never repeats the URL, which may hold a password. */
export function parseRoute(text: string): Route {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) throw bad("it is no URL");
  if (url.hash !== "") throw bad("it has a #, which a password holds as %23");
  const settings = new Settings(url.searchParams);
  const route = routeOf(url, settings);
  settings.refuseRest();
  return route;
}

function routeOf(url: URL, settings: Settings): Route {
  switch (url.protocol) {
    case "smtp:":
    case "smtps:":
      return smtpRoute(url, settings);
    case "mx:":
      refuseHost(url);
      return {
        kind: "mx",
        name: "mx:",
        connections: settings.number("connections", 5),
        messagesPerConnection: settings.number("messages", 100),
        privateHosts: settings.choice("private", ["allow", "refuse"]) === "allow",
      };
    case "capture:":
      refuseHost(url);
      return { kind: "capture", name: "capture:", connections: settings.number("connections", 4) };
    default:
      throw bad("it starts with none of smtp://, smtps://, mx:, capture:");
  }
}

function smtpRoute(url: URL, settings: Settings): SmtpRoute {
  if (url.hostname === "") throw bad("it names no host");
  if (url.pathname !== "" && url.pathname !== "/") throw bad("it has a path");
  const credentials = credentialsOf(url);
  const implicit = url.protocol === "smtps:";
  const chosen = settings.choice("tls", tlsModes);
  if (implicit && chosen !== undefined && chosen !== "required") throw bad("smtps:// is always TLS");
  if (credentials !== null && chosen !== undefined && chosen !== "required") throw bad("a password needs tls=required");
  const tls = implicit ? "implicit" : ((chosen ?? (credentials ? "required" : "opportunistic")) as TlsMode);
  const port = url.port === "" ? (implicit ? 465 : credentials ? 587 : 25) : Number(url.port);
  if (port === 0) throw bad("port 0 can't be connected to");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return {
    kind: "smtp",
    name: `${url.protocol}//${url.hostname}:${port}`,
    host,
    port,
    tls,
    credentials,
    connections: settings.number("connections", 20),
    messagesPerConnection: settings.number("messages", 1000),
  };
}

function credentialsOf(url: URL): SmtpRoute["credentials"] {
  if (url.username === "" && url.password === "") return null;
  if (url.username === "" || url.password === "") throw bad("user name and password come together");
  try {
    return { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) };
  } catch {
    throw bad("user name or password is not percent-encoded");
  }
}

function refuseHost(url: URL): void {
  if (url.pathname !== "" || url.host !== "") throw bad(`${url.protocol} takes no host`);
}

const MAX_SETTING = 100_000;

class Settings {
  readonly #rest: Map<string, string>;

  constructor(params: URLSearchParams) {
    this.#rest = new Map(params);
  }

  choice(name: string, allowed: readonly string[]): string | undefined {
    const value = this.#take(name);
    if (value !== undefined && !allowed.includes(value)) throw bad(`${name} is one of ${allowed.join(", ")}`);
    return value;
  }

  number(name: string, fallback: number): number {
    const value = this.#take(name);
    if (value === undefined) return fallback;
    const number = /^\d{1,6}$/.test(value) ? Number(value) : 0;
    if (number < 1 || number > MAX_SETTING) throw bad(`${name} is a number from 1 to ${MAX_SETTING}`);
    return number;
  }

  refuseRest(): void {
    const [unknown] = this.#rest.keys();
    if (unknown === undefined) return;
    // What follows a ? may be the rest of a password.
    throw bad(/^[a-z_]{1,30}$/.test(unknown) ? `it has no setting ${unknown}` : "it has a setting that is not known");
  }

  #take(name: string): string | undefined {
    const value = this.#rest.get(name);
    this.#rest.delete(name);
    return value;
  }
}

function bad(why: string): Fault {
  return new Fault("invalid", `This is no route: ${why}.`);
}
