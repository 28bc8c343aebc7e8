/**
 * One node: opens what its roles need, in order, and closes it in reverse.
 *
 * Order of the end: the doors take nothing new and finish what is under way; then deliveries end, their outcomes are
 * written and leases given back; then jobs, then the connections. Nothing that was answered with 250 depends on it.
 */
import { type Authenticator, createAuthenticator } from "./accounts/authenticate.ts";
import { type AccountChanges, listenForChanges } from "./accounts/changes.ts";
import { startApi } from "./api/server.ts";
import { createCapture } from "./delivery/capture.ts";
import { type Delivery, startDelivery } from "./delivery/worker.ts";
import { createSenderDomains } from "./domains/allowed.ts";
import { startHousekeeping } from "./housekeeping.ts";
import { createRefusalRecorder } from "./metering/refusals.ts";
import { type Clock, createClock } from "./platform/clock.ts";
import { baseUrl, type Config } from "./platform/config.ts";
import { lockDataDir } from "./platform/data-lock.ts";
import { checkClock, checkDurability, type Database, openDatabase } from "./platform/database.ts";
import { startEmbedded } from "./platform/embedded.ts";
import type { AccountId, NodeId } from "./platform/ids.ts";
import type { Log } from "./platform/log.ts";
import { createMetrics, type Metrics } from "./platform/metrics.ts";
import { migrate } from "./platform/migrate.ts";
import { checkRedis, openRedis, redisReady } from "./platform/redis.ts";
import { createKeyring, type Keyring } from "./platform/secrets.ts";
import { openTls, type Tls } from "./platform/tls.ts";
import { createGate, type ProcessGate } from "./quota/create-gate.ts";
import { publishAccount } from "./quota/publish.ts";
import { createReadiness } from "./readiness.ts";
import { startSampling } from "./sampling.ts";
import { createAcceptor } from "./spool/accept.ts";
import { registerNode } from "./spool/lease.ts";
import { createStage } from "./spool/stage.ts";
import { deliverySpool } from "./spool/work.ts";
import { startSubmission } from "./submission/server.ts";

export const roleNames = ["submission", "delivery", "api", "jobs"] as const;
export type Role = (typeof roleNames)[number];

export type Ports = Readonly<{ submission?: number; submissions?: number; http?: number; metrics?: number }>;

export type Node = AsyncDisposable & Readonly<{ ports: Ports; house: House; reload(): Promise<void> }>;

/** What all roles of a node share. */
export type House = Readonly<{
  config: Config;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  database: Database;
  keyring: Keyring;
  gate: ProcessGate;
  changes: AccountChanges;
  authenticator: Authenticator;
  owner: NodeId;
}>;

const REDIS_PATIENCE_MS = 3000;

/** Resolves when all its ports listen. On failure everything that was opened is closed again. */
export async function startNode(config: Config, roles: ReadonlySet<Role>, log: Log): Promise<Node> {
  await using opened = new AsyncDisposableStack();
  const house = await openHouse(config, log, opened);
  const tls = roles.has("submission") ? await openTls(tlsOptions(config)) : undefined;
  if (tls?.selfSigned)
    log.warn(
      { event: "tls.self_signed", file: tls.certificateFile },
      "clients can't verify it: set POSTMETER_TLS_CERT",
    );
  const delivery = roles.has("delivery") ? opened.use(startOutbound(house)) : undefined;
  const submission = tls === undefined ? undefined : opened.use(await startInbound(house, tls, delivery, opened));
  const api = roles.has("api") ? opened.use(await startDoorForPrograms(house)) : undefined;
  if (roles.has("jobs")) opened.use(await startHousekeeping(house, publicUrl(config, api?.port)));
  opened.use(startSampling(house));
  const stack = opened.move();
  return {
    house,
    ports: {
      ...(submission && { submission: submission.ports.submission }),
      ...(submission?.ports.submissions && { submissions: submission.ports.submissions }),
      ...(api && { http: api.port }),
      ...(api?.metricsPort && { metrics: api.metricsPort }),
    },
    async reload() {
      await tls?.reload();
      log.info({ event: "tls.reloaded", expires: tls?.expiresAt() }, "certificate read again");
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function openHouse(config: Config, log: Log, opened: AsyncDisposableStack): Promise<House> {
  const clock = createClock(config.clockOffsetMs);
  const metrics = createMetrics();
  const url = config.databaseUrl || (await embedded(config, log, opened));
  const database = opened.use(openDatabase({ url, max: 16, clockOffsetMs: config.clockOffsetMs }));
  await checkDurability(database.db);
  await migrate(database, log);
  await checkClock(database.db, clock);
  const keyring = createKeyring(config.secret);
  const gate = opened.use(await openGate({ config, log, clock, metrics, database }, opened));
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
  const owner = await registerNode(database.pool, config.hostname, process.pid);
  return { config, clock, log, metrics, database, keyring, gate, changes, authenticator, owner };
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

function tlsOptions({ tlsCert: cert, tlsKey: key, hostname, dataDir }: Config) {
  return { cert, key, hostname, dataDir };
}

/** The base of links in mails. A port that was chosen by the system is known only now. */
function publicUrl(config: Config, port: number | undefined): string {
  const guessed = config.httpPort === 0 && config.publicUrl === baseUrl(config.httpHost, 0);
  return guessed && port !== undefined ? baseUrl(config.httpHost, port) : config.publicUrl;
}

function startOutbound({ config, clock, log, metrics, database, owner }: House): Delivery {
  return startDelivery({
    capture: createCapture(database.pool, clock),
    config,
    clock,
    log,
    metrics,
    spool: deliverySpool(database.pool, owner, config.queueLifetimeMs, clock),
  });
}

/** Without delivery on this node everything is stored as due for anybody. */
const noHandoff = { offer: () => false, push: () => {}, withdraw: () => {} };

async function startInbound(house: House, tls: Tls, delivery: Delivery | undefined, opened: AsyncDisposableStack) {
  const { config, clock, log, metrics, database, gate, changes, authenticator, owner } = house;
  const { pool, db } = database;
  const refusals = opened.use(createRefusalRecorder({ pool, clock, log }));
  const domains = createSenderDomains({ db, changes });
  const acceptor = createAcceptor({
    pool,
    owner,
    handoff: delivery?.handoff ?? noHandoff,
    publish: (standings) => void gate.publish(standings).catch(() => {}),
    metrics,
    log,
    lifetimeMs: config.queueLifetimeMs,
  });
  return startSubmission({
    config,
    tls,
    clock,
    log,
    metrics,
    gate,
    authenticate: authenticator.smtp,
    sending: authenticator.sending,
    senderAllowed: domains.allowed,
    accept: acceptor.accept,
    createStage: (id) => createStage(pool, id),
    refused: refusals.refused,
  });
}

function startDoorForPrograms(house: House) {
  const { database, clock, log, keyring, metrics, config, authenticator, gate } = house;
  return startApi({
    db: database.db,
    clock,
    log,
    keyring,
    metrics,
    config,
    authenticator,
    publish: (accountId: AccountId) => publishAccount(database.db, gate, accountId),
    ready: createReadiness(database.db, clock),
  });
}
