/**
 * What a command works with: the database (given, or the embedded one, joined where it runs, else started for the
 * command's time) and the program's clock.
 *
 * On failure: a Fault or ConfigError that says what to do; what was opened is closed again.
 */
import type { Operator } from "../accounts/principal.ts";
import { type Clock, createClock } from "../platform/clock.ts";
import { type Config, loadConfig } from "../platform/config.ts";
import { checkClock, type Database, type Db, openDatabase } from "../platform/database.ts";
import { startEmbedded } from "../platform/embedded.ts";
import { Fault } from "../platform/errors.ts";
import type { AccountId } from "../platform/ids.ts";
import { createLog, type Log } from "../platform/log.ts";
import { createMetrics } from "../platform/metrics.ts";
import { migrate, pendingMigrations } from "../platform/migrate.ts";
import { openRedis, redisReady } from "../platform/redis.ts";
import { createKeyring, type Keyring } from "../platform/secrets.ts";
import { createGate, type ProcessGate } from "../quota/create-gate.ts";
import { publishAccount } from "../quota/publish.ts";

/** Whoever can run commands on this machine is the operator. */
export const operator: Operator = { kind: "operator", via: "cli" };

export type Session = AsyncDisposable &
  Readonly<{
    config: Config;
    clock: Clock;
    log: Log;
    database: Database;
    db: Db;
    /** @throws Fault when there is no POSTMETER_SECRET */
    keyring(): Keyring;
    /** Undefined without Redis. */
    gate(): Promise<ProcessGate | undefined>;
    /** Tells Redis about a changed account; without Redis there is nothing to tell. */
    publish(...accounts: AccountId[]): Promise<void>;
  }>;

const REDIS_PATIENCE_MS = 2000;

export type Opened = AsyncDisposable &
  Readonly<{
    config: Config;
    clock: Clock;
    log: Log;
    database: Database;
    /** Migrations of this version that have not run. */
    pending(): Promise<readonly string[]>;
  }>;

/** The database, whatever is in it. */
export async function openTool(env: NodeJS.ProcessEnv): Promise<Opened> {
  const config = loadConfig(env, "tool");
  const log = createLog("error");
  await using opened = new AsyncDisposableStack();
  const url = config.databaseUrl || opened.use(await startEmbedded(config.dataDir, log)).url;
  const { clockOffsetMs } = config;
  const database = opened.use(openDatabase({ url, max: 4, clockOffsetMs, applicationName: "postmeter cli" }));
  const stack = opened.move();
  return {
    config,
    clock: createClock(clockOffsetMs),
    log,
    database,
    pending: () => pendingMigrations(database),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A database with this program's tables: the embedded one is migrated, another one must be. */
export async function openSession(env: NodeJS.ProcessEnv): Promise<Session> {
  await using opened = new AsyncDisposableStack();
  const tool = opened.use(await openTool(env));
  const { config, clock, log, database } = tool;
  if (config.databaseUrl === "") await migrate(database, log);
  const [missing] = await tool.pending();
  if (missing !== undefined) {
    throw new Fault("unavailable", `The database is not at this version (${missing} is missing): postmeter migrate`);
  }
  await checkClock(database.db, clock);
  let gate: Promise<ProcessGate | undefined> | undefined;
  const openGate = () => {
    gate ??= connectGate(tool, stack);
    return gate;
  };
  const stack = opened.move();
  return {
    config,
    clock,
    log,
    database,
    db: database.db,
    keyring: () => createKeyring(config.secret),
    gate: openGate,
    async publish(...accounts) {
      const connected = await openGate();
      if (connected !== undefined) for (const id of accounts) await publishAccount(database.db, connected, id);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function connectGate(tool: Opened, stack: AsyncDisposableStack): Promise<ProcessGate | undefined> {
  const { config, clock, log, database } = tool;
  if (config.redisUrl === "") return undefined;
  const redis = openRedis(config.redisUrl, log);
  stack.defer(() => redis.disconnect());
  await redisReady(redis, REDIS_PATIENCE_MS);
  return stack.use(createGate({ redis, database, metrics: createMetrics(), log, clock }));
}
