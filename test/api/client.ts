/** The whole HTTP door over a real database, called without a socket. Every answer is checked against its own definition. */
import { randomBytes } from "node:crypto";
import { afterAll, expect } from "vitest";
import { type Authenticator, createAuthenticator } from "../../src/accounts/authenticate.ts";
import { type AccountChanges, listenForChanges } from "../../src/accounts/changes.ts";
import type { App } from "../../src/api/app.ts";
import { createApp } from "../../src/api/app.ts";
import type { ApiConfig, Deps } from "../../src/api/deps.ts";
import type { Endpoint } from "../../src/api/endpoint.ts";
import { problemShape } from "../../src/api/openapi.ts";
import { createPasswords } from "../../src/people/passwords.ts";
import type { AccountId } from "../../src/platform/ids.ts";
import { createLog } from "../../src/platform/log.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createKeyring, type Keyring } from "../../src/platform/secrets.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";

export const OPERATOR_KEY = "pm_op_the-operator-of-these-tests";

export type Answer = Readonly<{
  status: number;
  headers: Headers;
  /** Parsed where it is JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into answers whose shape the definition has just checked.
  body: any;
  text: string;
}>;

export type Ask = Readonly<{ key?: string; account?: string; body?: unknown; headers?: Record<string, string> }>;

export type LogLine = Readonly<Record<string, unknown>>;

export type Door = Readonly<{
  /** What was logged, parsed. */
  lines: LogLine[];
  database: TestDatabase;
  keyring: Keyring;
  app: App;
  deps: Deps;
  published: AccountId[];
  call(method: string, path: string, ask?: Ask): Promise<Answer>;
}>;

export const apiConfig: ApiConfig = {
  httpHost: "127.0.0.1",
  httpPort: 0,
  metricsPort: 0,
  trustedProxies: [],
  dnsServers: [],
  hostname: "relay.example",
  submissionPort: 587,
  submissionsPort: 465,
  systemFrom: "postmeter@relay.example",
  queueLifetimeMs: 3_600_000,
  retentionClosedMs: 0,
};

/** What no answer may hold, whatever happened. */
const LEAKS =
  /\b(select|insert into|update|delete from)\b.*\b(from|into|set|where)\b|\bat .*\.ts:\d+|\/src\/|SQLSTATE|node_modules|postgres/i;

type Change = Partial<Deps> & { allowFailures?: boolean; portalOf?: (deps: TestDeps) => Deps["portal"] };
/** With what people need to log in. */
export type TestDeps = Deps & Readonly<{ authenticator: Authenticator }>;

export async function openDoor({ portalOf, ...change }: Change = {}): Promise<Door> {
  const database = await testDatabase();
  const keyring = createKeyring(randomBytes(32));
  const published: AccountId[] = [];
  const changes = await listenForChanges({ url: database.url, log: silentLog });
  afterAll(() => changes[Symbol.asyncDispose]());
  const lines: LogLine[] = [];
  const log = createLog("debug", { write: (line: string) => void lines.push(JSON.parse(line)) } as never);
  const made = depsOf(database, keyring, changes, published);
  const pages = portalOf?.(made);
  const deps = { ...made, log, ...(pages === undefined ? {} : { portal: pages }), ...change };
  const app = createApp(deps);
  const call = async (method: string, path: string, ask: Ask = {}) => {
    const answer = await send(app, method, path, ask);
    if (answer.status === 500 && !change.allowFailures)
      throw new Error(JSON.stringify(lines.findLast((line) => line.error)));
    checkAnswer(app.endpoints, method, path, answer);
    return answer;
  };
  return { database, keyring, app, deps, lines, published, call };
}

function depsOf(database: TestDatabase, keyring: Keyring, changes: AccountChanges, published: AccountId[]): TestDeps {
  const { db, clock } = database;
  const shared = { db, clock, log: silentLog, keyring };
  return {
    ...shared,
    metrics: createMetrics(),
    config: apiConfig,
    passwords: createPasswords(),
    publicUrl: () => "https://relay.example",
    authenticator: createAuthenticator({ ...shared, changes, operatorKey: OPERATOR_KEY }),
    publish: async (accountId) => void published.push(accountId),
    ready: async () => [],
  };
}

export async function send({ app }: Pick<App, "app">, method: string, path: string, ask: Ask): Promise<Answer> {
  const headers: Record<string, string> = { ...ask.headers };
  if (ask.key !== undefined) headers.Authorization ??= `Bearer ${ask.key}`;
  if (ask.account !== undefined) headers["Postmeter-Account"] = ask.account;
  const json = ask.body !== undefined && typeof ask.body !== "string";
  if (ask.body !== undefined) headers["Content-Type"] ??= "application/json";
  const body = json ? JSON.stringify(ask.body) : (ask.body as string | undefined);
  const response = await app.request(path, { method, headers, ...(body === undefined ? {} : { body }) });
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: type.includes("json") && text !== "" ? JSON.parse(text) : text,
  };
}

export function endpointOf(endpoints: readonly Endpoint[], method: string, path: string): Endpoint | undefined {
  const [bare] = path.split("?");
  const matches = ({ definition }: Endpoint) =>
    definition.method === method.toLowerCase() &&
    new RegExp(`^${definition.path.replaceAll(/\{\w+\}/g, "[^/]+")}$`).test(bare ?? "");
  const exact = endpoints.find(
    ({ definition }) => definition.method === method.toLowerCase() && definition.path === bare,
  );
  return exact ?? endpoints.find(matches);
}

/** Problems are problems, answers are what the definition says, times are UTC, secrets are not to be cached. */
function checkAnswer(endpoints: readonly Endpoint[], method: string, path: string, answer: Answer): void {
  const where = `${method} ${path}: ${answer.status} ${answer.text.slice(0, 500)}`;
  expect(answer.headers.get("x-content-type-options"), where).toBe("nosniff");
  if (answer.status >= 400) {
    expect(answer.headers.get("content-type"), where).toBe("application/problem+json");
    expect(problemShape.safeParse(answer.body).error, where).toBeUndefined();
    expect(answer.body.status).toBe(answer.status);
    expect(answer.text, where).not.toMatch(LEAKS);
    return;
  }
  const definition = endpointOf(endpoints, method, path)?.definition;
  if (definition === undefined) return;
  expect(answer.headers.get("cache-control"), where).toBe("no-store");
  expect([definition.status, definition.previewStatus], where).toContain(answer.status);
  if (
    method === "HEAD" ||
    definition.answer === undefined ||
    !answer.headers.get("content-type")?.includes("application/json")
  )
    return;
  expect(definition.answer.safeParse(answer.body).error, where).toBeUndefined();
  for (const [, instant] of answer.text.matchAll(/"(\d{4}-\d{2}-\d{2}T[^"]*)"/g)) expect(instant).toMatch(/Z$/);
}

export type Tenant = Readonly<{ masterId: string; key: string; ownSubaccountId: string }>;

export async function newMaster(door: Door, members: Record<string, unknown> = {}): Promise<Tenant> {
  const body = { name: "Acme Hosting", allowance: 10_000, notification_emails: ["ops@acme.example"], ...members };
  const answer = await door.call("POST", "/v1/masters", { key: OPERATOR_KEY, body });
  expect(answer.status, answer.text).toBe(201);
  return { masterId: answer.body.id, key: answer.body.api_key.key, ownSubaccountId: answer.body.own_subaccount.id };
}

export type Child = Readonly<{ id: string; key: string; username: string; password: string }>;

/** A subaccount with a key of its own. */
export async function newSubaccount(door: Door, master: Tenant, members: Record<string, unknown> = {}): Promise<Child> {
  const body = { name: "Corner Shop", monthly_limit: 100, ...members };
  const created = await door.call("POST", "/v1/subaccounts", { key: master.key, body });
  expect(created.status, created.text).toBe(201);
  const { id, credential } = created.body;
  const ask = { key: master.key, body: { name: "app", scopes: ["full"], subaccount_id: id } };
  const { body: made } = await door.call("POST", "/v1/keys", ask);
  return { id, key: made.key, username: credential.username, password: credential.password };
}
