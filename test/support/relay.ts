/** The whole program as a child process, and clients of it. Ended with the test file, by its own handle. */
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createTransport } from "nodemailer";
import { afterAll } from "vitest";

export type Ports = Readonly<{ submission: number; submissions: number; http: number }>;

/** What a program needs to be the same again after its end. */
export type Home = Readonly<{ folder: string; operatorKey: string; secret: string }>;

export type Relay = Readonly<{
  ports: Ports;
  operatorKey: string;
  home: Home;
  child: ChildProcess;
  /** Lines of the log so far. */
  log: readonly Record<string, unknown>[];
  /** Calls the API. `key`: the operator's unless told. */
  call(method: string, path: string, body?: unknown, told?: CallOptions): Promise<Answer>;
  /** Resolves to the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}>;

export type CallOptions = Readonly<{ key?: string; headers?: Record<string, string> }>;
// biome-ignore lint/suspicious/noExplicitAny: answers of the API are read by their documented members
export type Answer = Readonly<{ status: number; headers: Headers; body: any; text: string }>;

export type RelayOptions = Readonly<{
  /** Empty: the embedded one. */
  databaseUrl: string;
  redisUrl?: string;
  env?: Record<string, string>;
  roles?: string;
  /** That of an earlier relay, or of another node. */
  home?: Home;
  /** Another main.ts (support/mutant.ts). */
  program?: string;
}>;

export const program = join(import.meta.dirname, "..", "..", "src", "main.ts");

const ends: (() => Promise<unknown>)[] = [];
const folders: string[] = [];
afterAll(async () => {
  await Promise.all(ends.map((end) => end()));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A data folder and secrets. */
export function makeHome(): Home {
  const folder = mkdtempSync(join(tmpdir(), "postmeter-relay-"));
  folders.push(folder);
  return {
    folder,
    operatorKey: `pm_op_${randomBytes(20).toString("hex")}`,
    secret: randomBytes(32).toString("base64"),
  };
}

/** `postmeter serve` on free ports; resolves when it is ready. */
export async function startRelay(options: RelayOptions): Promise<Relay> {
  const home = options.home ?? makeHome();
  const { operatorKey } = home;
  const env = {
    POSTMETER_DATABASE_URL: options.databaseUrl,
    POSTMETER_REDIS_URL: options.redisUrl ?? "",
    POSTMETER_DATA_DIR: home.folder,
    POSTMETER_SUBMISSION_PORT: "0",
    POSTMETER_SUBMISSIONS_PORT: "0",
    POSTMETER_HTTP_PORT: "0",
    POSTMETER_UPSTREAM_URL: "capture:",
    POSTMETER_OPERATOR_KEY: operatorKey,
    POSTMETER_SECRET: home.secret,
    POSTMETER_HOSTNAME: "relay.example",
    POSTMETER_AUTH_CLEARTEXT: "loopback",
    ...options.env,
  };
  const args = [
    options.program ?? program,
    "serve",
    ...(options.roles === undefined ? [] : ["--roles", options.roles]),
  ];
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const log: Record<string, unknown>[] = [];
  const errors: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    errors.push(line);
    // Readline cuts a line at U+2028, which a control's program may write: part of an event is none.
    if (line.startsWith("{") && line.endsWith("}")) log.push(JSON.parse(line));
  });
  const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    return ended;
  };
  ends.push(() => stop("SIGKILL"));
  const ports = await ready(child, ended, errors);
  const call = caller(`http://127.0.0.1:${ports.http}`, operatorKey);
  return { ports, operatorKey, home, child, log, stop, call };
}

function ready(child: ChildProcess, ended: Promise<number | null>, errors: readonly string[]): Promise<Ports> {
  return new Promise((resolve, reject) => {
    void ended.then((code) => reject(new Error(`the relay ended with ${code}:\n${errors.join("\n")}`)));
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
      if (line.includes('"postmeter.ready"')) resolve(JSON.parse(line).ports);
    });
  });
}

function caller(base: string, operatorKey: string): Relay["call"] {
  return async (method, path, body, told = {}) => {
    const response = await fetch(base + path, {
      method,
      headers: {
        authorization: `Bearer ${told.key ?? operatorKey}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...told.headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = response.headers.get("content-type")?.includes("json") === true;
    return { status: response.status, headers: response.headers, text, body: json ? JSON.parse(text) : undefined };
  };
}

export type Tenant = Readonly<{
  masterId: string;
  masterKey: string;
  subaccountId: string;
  username: string;
  password: string;
}>;

/** A master (any sender) with one subaccount. */
export async function createTenant(
  relay: Relay,
  told: { limit?: number | null; allowance?: number | null; overage?: "block" | "bill"; master?: object } = {},
): Promise<Tenant> {
  const master = await relay.call("POST", "/v1/masters", {
    name: "Acme Hosting",
    allowance: told.allowance ?? null,
    overage: told.overage ?? "block",
    notification_emails: ["ops@acme.example"],
    sender_policy: "any",
    ...told.master,
  });
  if (master.status !== 201) throw new Error(`no master: ${master.text}`);
  const masterKey = master.body.api_key.key;
  const subaccount = await createSubaccount(relay, masterKey, told.limit === undefined ? 100 : told.limit);
  return { masterId: master.body.id, masterKey, ...subaccount };
}

export async function createSubaccount(
  relay: Relay,
  masterKey: string,
  limit: number | null,
): Promise<Pick<Tenant, "subaccountId" | "username" | "password">> {
  const body = { name: "Corner Shop", monthly_limit: limit };
  const subaccount = await relay.call("POST", "/v1/subaccounts", body, { key: masterKey });
  if (subaccount.status !== 201) throw new Error(`no subaccount: ${subaccount.text}`);
  const { username, password } = subaccount.body.credential;
  return { subaccountId: subaccount.body.id, username, password };
}

/** nodemailer as an application would use it, over STARTTLS. */
export function mailer(relay: Relay, tenant: Pick<Tenant, "username" | "password">, pool = false) {
  return createTransport({
    host: "127.0.0.1",
    port: relay.ports.submission,
    auth: { user: tenant.username, pass: tenant.password },
    tls: { rejectUnauthorized: false },
    ...(pool ? { pool: true as const, maxConnections: 5 } : {}),
  } as Parameters<typeof createTransport>[0]);
}

/** Asks again until the answer is there; the deadline only ends a test that would fail anyway. */
export async function eventually<T>(
  ask: () => Promise<T | undefined | false>,
  what: string,
  deadlineMs = 60_000,
): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) throw new Error(`it never came to this: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
