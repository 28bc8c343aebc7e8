/**
 * A run of the whole program in which every secret is used, given wrongly, misplaced and thrown back at it; then all that it
 * has written, stored, answered and sent is searched for them.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { Redis } from "ioredis";
import { afterAll } from "vitest";
import { openDatabase } from "../../src/platform/database.ts";
import { makeCertificate } from "../delivery/certificate.ts";
import { quiet } from "../support/arrivals.ts";
import { createDatabase } from "../support/database.ts";
import { testRedis } from "../support/redis.ts";
import { createTenant, type Relay, startRelay } from "../support/relay.ts";
import { everything, startUpstream, type Upstream } from "../support/upstream.ts";
import { given, withPassword } from "./secrets-given.ts";
import { callBadly, mail, type Start, speakBadly, startBadly } from "./secrets-misuse.ts";

export type Place = "log" | "database" | "answers" | "replies" | "metrics" | "mail";
export type Run = Readonly<{
  secrets: readonly string[];
  places: Readonly<Record<Place, string>>;
  upstreamLogIns: number;
}>;

/** `starts`: commands that are given wrong settings, beside the one that serves. */
export async function runWithSecrets(starts: readonly Start[], program?: string): Promise<Run> {
  const house = await openHouse(program);
  const { relay, database, upstream, logged } = house;
  const tenant = await createTenant(relay, { limit: 20, master: { allowance: 100 } });
  const ask = { name: "app", scopes: ["full"] };
  const once = { key: tenant.masterKey, headers: { "idempotency-key": "once" } };
  const made = await relay.call("POST", "/v1/keys", ask, once);
  const again = await relay.call("POST", "/v1/keys", ask, once);
  if (again.body.key !== made.body.key) throw new Error("the kept answer is another one");
  const keys = [tenant.masterKey, made.body.key as string];
  const replies = [await mail(relay, tenant), ...(await speakBadly(relay, tenant, given.wrong))];
  const answers = await callBadly(relay, tenant, keys);
  logged.push(...(await startBadly(house.env, starts)));
  await upstream.arrived(2); // the message, and the report on the other one
  await quiet(database);
  const metrics = (await relay.call("GET", "/metrics")).text;
  await relay.stop();
  const { operatorKey, home } = relay;
  return {
    secrets: [...Object.values(given), ...keys, tenant.password, operatorKey, home.secret],
    upstreamLogIns: upstream.commands.filter((line) => line.startsWith("AUTH")).length,
    places: {
      log: logged.join(""),
      database: await dump(database.pool),
      answers: answers.join("\n"),
      replies: replies.join("\n"),
      metrics,
      mail: upstream.received.map(({ bytes }) => bytes.toString("latin1")).join("\n"),
    },
  };
}

type Pool = ReturnType<typeof openDatabase>["pool"];
type House = Readonly<{
  relay: Relay;
  upstream: Upstream;
  database: ReturnType<typeof openDatabase>;
  /** All that the program writes, as it comes. */
  logged: string[];
  env: Readonly<Record<string, string>>;
}>;

async function openHouse(program?: string): Promise<House> {
  const [databaseUrl, redis] = [await createDatabase(), await testRedis()];
  const certificate = await makeCertificate("localhost");
  const folder = mkdtempSync(join(tmpdir(), "postmeter-ca-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "ca.pem"), certificate.cert);
  const upstream = await startUpstream({
    certificate,
    extensions: ["AUTH PLAIN LOGIN", ...everything],
    // It refuses the first log-ins in the words of a server that repeats what it was told.
    auth: (line, n) => (n < 2 ? `535 5.7.8 What is ${line}` : undefined),
    rcpt: (line) => (line.includes("nobody@") ? "550 5.1.1 No such user" : undefined),
  });
  const password = encodeURIComponent(given.upstream);
  const env = {
    POSTMETER_UPSTREAM_URL: `smtp://relay-user:${password}@localhost:${upstream.port}?tls=required`,
    POSTMETER_LOG_LEVEL: "trace",
    POSTMETER_RETRY_SCHEDULE: "1s",
    NODE_EXTRA_CA_CERTS: join(folder, "ca.pem"),
  };
  await guard(redis.url);
  const relay = await startRelay({
    databaseUrl: withPassword(databaseUrl, given.database),
    redisUrl: withPassword(redis.url, given.redis),
    env,
    ...(program === undefined ? {} : { program }),
  });
  const logged: string[] = [];
  for (const stream of [relay.child.stderr, relay.child.stdout] as Readable[])
    stream.on("data", (bytes: Buffer) => logged.push(bytes.toString("latin1")));
  const database = openDatabase({ url: databaseUrl, max: 2, clockOffsetMs: 0, applicationName: "postmeter secrets" });
  afterAll(() => database[Symbol.asyncDispose]());
  const places = { POSTMETER_DATABASE_URL: databaseUrl, POSTMETER_REDIS_URL: redis.url };
  return { relay, upstream, database, logged, env: { ...env, ...places, POSTMETER_SECRET: relay.home.secret } };
}

async function guard(url: string): Promise<void> {
  const redis = new Redis(url);
  await redis.call("CONFIG", "SET", "requirepass", given.redis);
  redis.disconnect();
}

/** All that the database holds, as text; binary columns also as what they may be the text of. */
async function dump(pool: Pool): Promise<string> {
  const { rows } = await pool.query<{ name: string }>(
    "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'graphile_worker')",
  );
  const parts: string[] = [];
  for (const { name } of rows) {
    const { rows: all } = await pool.query(`select * from ${name}`);
    for (const row of all)
      parts.push(JSON.stringify(row, (_, v) => (v?.type === "Buffer" ? Buffer.from(v.data).toString("latin1") : v)));
  }
  return parts.join("\n");
}

/** As it is, in a URL, in hex, and as AUTH writes it, wherever in the line of base64 it begins. */
function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  const inside = [0, 1, 2].map((n) =>
    Buffer.concat([Buffer.alloc(n), bytes])
      .toString("base64")
      .slice(n + 1, -4),
  );
  return [secret, encodeURIComponent(secret), bytes.toString("hex"), ...inside];
}

/** `place: form` of each secret that stands where none may. */
export function findSecrets({ secrets, places }: Pick<Run, "secrets" | "places">): string[] {
  const forms = secrets.flatMap(formsOf);
  return Object.entries(places).flatMap(([place, text]) =>
    forms.filter((form) => text.includes(form)).map((form) => `${place}: ${around(text, form)}`),
  );
}

function around(text: string, form: string): string {
  const at = text.indexOf(form);
  return text.slice(Math.max(0, at - 60), at + form.length + 20);
}
