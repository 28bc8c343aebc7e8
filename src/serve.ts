/**
 * One node: opens what its roles need, in order, and closes it in reverse.
 *
 * Order of the end: the doors take nothing new and finish what is under way; then deliveries end, their outcomes are
 * written and leases given back; then jobs, then the connections. Nothing that was answered with 250 depends on it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type ApiServer, startApi, startMonitoring } from "./api/server.ts";
import { createCertificates } from "./branding/sni.ts";
import { createCapture } from "./delivery/capture.ts";
import { type Delivery, startDelivery } from "./delivery/worker.ts";
import { createSenderDomains } from "./domains/allowed.ts";
import { type House, openHouse } from "./house.ts";
import { startHousekeeping } from "./housekeeping.ts";
import { createRefusalRecorder } from "./metering/refusals.ts";
import { createPasswords } from "./people/passwords.ts";
import { baseUrl, type Config } from "./platform/config.ts";
import { freshClient } from "./platform/database.ts";
import type { AccountId } from "./platform/ids.ts";
import type { Log } from "./platform/log.ts";
import type { Metrics } from "./platform/metrics.ts";
import { openTls, type Tls } from "./platform/tls.ts";
import { createPortal } from "./portal/app.ts";
import { publishAccount } from "./quota/publish.ts";
import { createReadiness } from "./readiness.ts";
import { startSampling } from "./sampling.ts";
import { createAcceptor } from "./spool/accept.ts";
import { openInDoubt } from "./spool/in-doubt.ts";
import { createStage } from "./spool/stage.ts";
import { deliverySpool } from "./spool/work.ts";
import { startSubmission } from "./submission/server.ts";

export const roleNames = ["submission", "delivery", "api", "jobs"] as const;
export type Role = (typeof roleNames)[number];

export type Ports = Readonly<{ submission?: number; submissions?: number; http?: number; metrics?: number }>;

export type Node = AsyncDisposable & Readonly<{ ports: Ports; house: House; reload(): Promise<void> }>;

/** What other processes of this node do for it. */
export type Among = Readonly<{
  /** The text of /metrics, of all processes. */
  scrape?: (own: Metrics["registry"]) => Promise<string>;
  /** One of them answers on the HTTP port. */
  silent?: boolean;
}>;

/** Together under the 30 s that a node may take to end. */
const DOORS_MS = 12_000;
const DELIVERIES_MS = 8_000;
const JOBS_MS = 2_000;

/** Resolves when all its ports listen. On failure everything that was opened is closed again. */
export async function startNode(config: Config, roles: ReadonlySet<Role>, log: Log, among: Among = {}): Promise<Node> {
  await using opened = new AsyncDisposableStack();
  const house = await openHouse(config, log, opened);
  const tls = roles.has("submission") ? await openCertificate(config, log) : undefined;
  const delivery = roles.has("delivery") ? opened.use(startOutbound(house)) : undefined;
  const submission = tls === undefined ? undefined : opened.use(await startInbound(house, tls, delivery, opened));
  const api = among.silent ? undefined : opened.use(await startDoorForPrograms(house, roles.has("api"), among));
  const links = publicUrl(config, api?.port);
  const jobs = roles.has("jobs") ? opened.use(await startHousekeeping(house, links)) : undefined;
  if (jobs !== undefined) opened.use(startSampling(house));
  const stack = opened.move();
  return {
    house,
    ports: {
      ...(submission && { submission: submission.ports.submission }),
      ...(submission?.ports.submissions && { submissions: submission.ports.submissions }),
      ...(api?.port && { http: api.port }),
      ...(api?.metricsPort && { metrics: api.metricsPort }),
    },
    async reload() {
      await tls?.reload();
      log.info({ event: "tls.reloaded", expires: tls?.expiresAt() }, "certificate read again");
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([atMost(api?.drain(), DOORS_MS), submission?.drain(DOORS_MS)]);
      await delivery?.drain(DELIVERIES_MS);
      await atMost(jobs?.[Symbol.asyncDispose](), JOBS_MS);
      await stack.disposeAsync();
    },
  };
}

/** Waits no longer than that; what is late ends with the process. */
function atMost(work: PromiseLike<void> | undefined, ms: number): Promise<void> {
  return Promise.race([Promise.resolve(work), sleep(ms, undefined, { ref: false })]);
}

async function openCertificate(config: Config, log: Log): Promise<Tls> {
  const tls = await openTls(tlsOptions(config));
  const { selfSigned, certificateFile: file } = tls;
  if (selfSigned) log.warn({ event: "tls.self_signed", file }, "clients can't verify it: set POSTMETER_TLS_CERT");
  return tls;
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
  const { config, clock, log, metrics, database, accepting, gate, changes, hosts, authenticator, keyring, owner } =
    house;
  const { pool, db } = database;
  const refusals = opened.use(createRefusalRecorder({ pool, clock, log }));
  const domains = createSenderDomains({ db, changes });
  const inDoubt = opened.use(await openInDoubt({ pool, changes, metrics, log }));
  const acceptor = createAcceptor({
    pool: accepting.pool,
    connect: () => freshClient(accepting),
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
    brands: { ...hosts, certificate: createCertificates({ db, keyring, hosts, log }) },
    clock,
    log,
    metrics,
    gate,
    authenticate: authenticator.smtp,
    sending: authenticator.sending,
    senderAllowed: domains.allowed,
    accept: acceptor.accept,
    inDoubt,
    createStage: (id) => createStage(pool, id),
    refused: refusals.refused,
  });
}

/** Without the role it only says whether the node is alive and well. */
function startDoorForPrograms(house: House, whole: boolean, { scrape }: Among): Promise<ApiServer> {
  const { answering, clock, log, keyring, metrics, config, authenticator, gate, hosts } = house;
  const { db } = answering;
  const ready = createReadiness(db, clock);
  const counts = scrape === undefined ? {} : { scrape: () => scrape(metrics.registry) };
  if (!whole) return startMonitoring({ config, metrics, ready, ...counts });
  let port: number | undefined;
  const links = () => publicUrl(config, port);
  const passwords = createPasswords();
  const people = { db, clock, keyring, config, passwords, hosts, lockout: authenticator.lockout, publicUrl: links };
  const started = startApi({
    db,
    clock,
    log,
    keyring,
    metrics,
    config,
    authenticator,
    passwords,
    publicUrl: links,
    portal: createPortal(people),
    publish: (accountId: AccountId) => publishAccount(db, gate, accountId),
    ready,
    ...counts,
  });
  return started.then((api) => {
    port = api.port;
    return api;
  });
}
