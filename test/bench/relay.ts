/**
 * Postmeter as its users run it: `postmeter serve` on a real PostgreSQL and Redis, AUTH on, quota, ledger and log lines
 * on, fsync and synchronous_commit on; its log goes to a file on the measured disk.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { startEmbedded } from "../../src/platform/embedded.ts";
import { createLog } from "../../src/platform/log.ts";
import { type Accounts, type Api, createAccounts, readUsage } from "./accounts.ts";
import { type Child, startChild } from "./children.ts";
import type { Tls } from "./connection.ts";
import { freePort } from "./ports.ts";
import { startRedis } from "./redis.ts";
import type { Absent, Target } from "./target.ts";

export type RelayOrder = Readonly<{
  name: "relay" | "before";
  root?: string; // the checkout; this one unless given
  folder: string; // exists, on the measured disk, passable by all
  sinkPort: number;
  tls: readonly Tls[]; // the ways in that are opened
  processes: number;
  subaccounts: number;
  profile: string | null; // folder for the relay's CPU profile
  preload: string | null; // a library that PostgreSQL is to load
  postgres?: readonly string[]; // further settings of the server
}>;

/** A target that can be looked into: its database, its API, the accounts it was given. */
export type Relay = Target & Readonly<{ databaseUrl: string; api: Api; accounts: Accounts }>;

const ownRoot = join(import.meta.dirname, "..", "..");
/** As much memory for pages and log as a small server would be given; durability is not touched. */
const postgresSettings = ["shared_buffers=256MB", "max_wal_size=2GB"];
/** POSTMETER_SECRET of a relay of the bench, so that seeds can hash what they give out. */
export const benchSecret = Buffer.alloc(32, 7);
const operatorKey = "pm_op_bench_0123456789abcdef0123456789";
const startTimeoutMs = 60_000;

export async function startRelay(order: RelayOrder): Promise<Relay | Absent> {
  await using started = new AsyncDisposableStack();
  const redis = await startRedis(join(order.folder, "redis"));
  if (redis === undefined) return { name: order.name, why: "it needs redis-server or valkey-server" };
  started.use(redis);
  const postgres = started.use(
    await startEmbedded(order.folder, createLog("silent"), settingsOf(order), preloading(order)),
  );
  const program = await settle(order, postgres.url, redis.url);
  const words = commandOf(order);
  await run(words, ["migrate"], program);
  const relay = started.use(startChild(process.execPath, [...profiling(order), ...words, "serve"], program));
  const ports = await readPorts(relay, program.logFile);
  const api = { url: `http://127.0.0.1:${ports.http}/v1`, operatorKey };
  const account = await createAccounts(api, order.subaccounts);
  const all = started.move();
  return {
    name: order.name,
    ports: Object.fromEntries(
      order.tls.map((kind) => [kind, ports[kind === "implicit" ? "submissions" : "submission"]]),
    ),
    about: `Postmeter on PostgreSQL 18 (fsync, synchronous_commit) and ${redis.version}, AUTH, ${order.processes} process(es)`,
    logins: account.logins,
    databaseUrl: postgres.url,
    api,
    accounts: account,
    roots: [
      { name: "relay", pid: relay.pid },
      { name: "postgres", pid: postgres.pid() ?? 0 },
      { name: "redis", pid: redis.pid },
    ],
    books: () => readUsage(api, account),
    verify: () =>
      run(words, ["ledger", "verify"], program).then(
        () => null,
        (error: Error) => error.message,
      ),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

function settingsOf({ postgres = [] }: RelayOrder): string[] {
  return [...postgresSettings, ...postgres];
}

/** As `npm run postmeter` starts it: with the same flags of Node. */
function commandOf({ root = ownRoot }: RelayOrder): string[] {
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { scripts: { postmeter: string } };
  const flags = manifest.scripts.postmeter.split(" ").filter((word) => word.startsWith("--"));
  return [...flags, join(root, "src", "main.ts")];
}

async function settle({ folder, sinkPort, tls, processes }: RelayOrder, databaseUrl: string, redisUrl: string) {
  const dataDir = join(folder, "relay");
  mkdirSync(dataDir, { recursive: true });
  const env: NodeJS.ProcessEnv = {
    PATH: process.env.PATH,
    POSTMETER_DATABASE_URL: databaseUrl,
    POSTMETER_REDIS_URL: redisUrl,
    POSTMETER_DATA_DIR: dataDir,
    POSTMETER_OPERATOR_KEY: operatorKey,
    POSTMETER_SECRET: benchSecret.toString("base64"),
    POSTMETER_UPSTREAM_URL: `smtp://127.0.0.1:${sinkPort}`,
    POSTMETER_AUTH_CLEARTEXT: "loopback",
    POSTMETER_SUBMISSION_PORT: "0",
    POSTMETER_SUBMISSIONS_PORT: String(tls.includes("implicit") ? await freePort() : 0),
    POSTMETER_HTTP_PORT: "0",
    POSTMETER_HOSTNAME: "relay.bench.example",
    POSTMETER_RETRY_SCHEDULE: "1s,2s,5s",
    POSTMETER_PROCESSES: String(processes),
  };
  return { env, logFile: join(folder, "postmeter.log") };
}

function preloading({ preload }: RelayOrder): NodeJS.ProcessEnv {
  return preload === null ? {} : { LD_PRELOAD: preload };
}

function profiling({ profile }: RelayOrder): string[] {
  return profile === null ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
}

type Ports = Readonly<Record<string, number>>;

/** The ports of the line `{"event": "postmeter.ready", "ports": {...}}` on standard output. */
async function readPorts(relay: Child, logFile: string): Promise<Ports> {
  const lines = createInterface({ input: relay.process.stdout! });
  const late = setTimeout(() => lines.close(), startTimeoutMs);
  try {
    for await (const line of lines) {
      if (!line.includes('"postmeter.ready"')) continue;
      const { ports } = JSON.parse(line) as { ports: Ports };
      return ports;
    }
    throw new Error(`Postmeter did not start:\n${tail(logFile)}`);
  } finally {
    clearTimeout(late);
    relay.process.stdout!.resume();
  }
}

/** A command of the operator's, until it ends. Throws what it said unless it ends with 0. */
async function run(
  words: readonly string[],
  args: readonly string[],
  { env, logFile }: Awaited<ReturnType<typeof settle>>,
): Promise<void> {
  const errors = `${logFile}.command`;
  writeFileSync(errors, "");
  const command = startChild(process.execPath, [...words, ...args], { env, logFile: errors });
  const said = await text(command.process.stdout!);
  await command.ended;
  const { exitCode } = command.process;
  if (exitCode !== 0) throw new Error(`postmeter ${args.join(" ")} ended with ${exitCode}:\n${said}${tail(errors)}`);
}

function tail(file: string): string {
  return readFileSync(file, "utf8").trimEnd().split("\n").slice(-8).join("\n");
}
