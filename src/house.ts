/**
 * What all roles of a node share: the way to Postgres and Redis, the clock, the gate, who may log in.
 *
 * Acceptance, the API and the rest have connections of their own: a slow list of one tenant, or a purge, never stands before
 * a message that waits to be accepted.
 */
import { type Authenticator, createAuthenticator } from "./accounts/authenticate.ts";
import { type AccountChanges, listenForChanges } from "./accounts/changes.ts";
import { type BrandHosts, createBrandHosts } from "./branding/hosts.ts";
import { type Clock, createClock } from "./platform/clock.ts";
import type { Config } from "./platform/config.ts";
import { lockDataDir } from "./platform/data-lock.ts";
import { checkClock, checkDurability, type Database, openDatabase } from "./platform/database.ts";
import { startEmbedded } from "./platform/embedded.ts";
import type { AccountId, NodeId } from "./platform/ids.ts";
import type { Log } from "./platform/log.ts";
import { createMetrics, type Metrics } from "./platform/metrics.ts";
import { migrate } from "./platform/migrate.ts";
import { checkRedis, openRedis, redisReady } from "./platform/redis.ts";
import { createKeyring, type Keyring } from "./platform/secrets.ts";
import { createGate, type ProcessGate } from "./quota/create-gate.ts";
import { registerNode } from "./spool/lease.ts";

/** What all roles of a node share. */
export type House = Readonly<{
  config: Config;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  /** For deliveries, jobs and all that may wait. */
  database: Database;
  /** For the gate and acceptance only. */
  accepting: Database;
  /** For the API: its statements end after 10 s. */
  answering: Database;
  keyring: Keyring;
  gate: ProcessGate;
  changes: AccountChanges;
  /** Hosts of brands. */
  hosts: BrandHosts;
  authenticator: Authenticator;
  owner: NodeId;
}>;

const REDIS_PATIENCE_MS = 3000;
const LONG_ENOUGH = 32;

export async function openHouse(config: Config, log: Log, opened: AsyncDisposableStack): Promise<House> {
  if (config.operatorKey.length < LONG_ENOUGH) {
    log.warn({ event: "operator_key.short" }, "POSTMETER_OPERATOR_KEY opens everything: let it be long and random");
  }
  const clock = createClock(config.clockOffsetMs);
  const metrics = createMetrics();
  const url = config.databaseUrl || (await embedded(config, log, opened));
  const { clockOffsetMs } = config;
  const database = opened.use(openDatabase({ url, clockOffsetMs, max: 10 }));
  const accepting = opened.use(openDatabase({ url, clockOffsetMs, max: 4, applicationName: "postmeter accept" }));
  const api = { applicationName: "postmeter api", statementTimeoutMs: 10_000 };
  const answering = opened.use(openDatabase({ url, clockOffsetMs, max: 8, ...api }));
  await checkDurability(database.db);
  await migrate(database, log);
  await checkClock(database.db, clock);
  const keyring = createKeyring(config.secret);
  const gate = opened.use(await openGate({ config, log, clock, metrics, database: accepting }, opened));
  const changes = opened.use(await listenForChanges({ url, log }));
  changes.subscribe((change) => {
    if (change.kind === "everything") gate.forget();
    else if (change.kind === "subaccount" || change.kind === "master") gate.forget(change.id as AccountId);
  });
  const authenticator = createAuthenticator({
    db: database.db,
    keyring,
    clock,
    changes,
    operatorKey: config.operatorKey,
    log,
  });
  const ours = [config.hostname, new URL(config.publicUrl).hostname];
  const hosts = createBrandHosts({ db: database.db, changes, ours });
  const owner = await registerNode(database.pool, config.hostname, process.pid);
  return {
    config,
    clock,
    log,
    metrics,
    database,
    accepting,
    answering,
    keyring,
    gate,
    changes,
    hosts,
    authenticator,
    owner,
  };
}

async function embedded(config: Config, log: Log, opened: AsyncDisposableStack): Promise<string> {
  opened.use(await lockDataDir(config.dataDir));
  return opened.use(await startEmbedded(config.dataDir, log)).url;
}

type GateHouse = Pick<House, "config" | "log" | "clock" | "metrics" | "database">;

async function openGate(house: GateHouse, opened: AsyncDisposableStack): Promise<ProcessGate> {
  const { config, log, clock, metrics, database } = house;
  if (config.redisUrl === "") return createGate({ database, metrics, log, clock });
  const redis = openRedis(config.redisUrl, log);
  opened.defer(() => redis.disconnect());
  if (await redisReady(redis, REDIS_PATIENCE_MS)) await checkRedis(redis);
  else log.warn({ event: "redis.away" }, "Redis does not answer yet: Postgres decides alone until it does");
  return createGate({ redis, database, metrics, log, clock });
}
