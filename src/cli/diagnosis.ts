/** What `postmeter doctor` looks at, one thing after the other. A check that can't be made fails with the reason. */
import { missingFiles } from "../metering/archive-files.ts";
import { listArchives } from "../metering/archive-records.ts";
import type { Config } from "../platform/config.ts";
import { checkClock, checkDurability, type Db } from "../platform/database.ts";
import { readJobState, readPartitionsAhead, readRedisVersion, readServer } from "../platform/diagnose.ts";
import { connectionProblem } from "../platform/outage.ts";
import { oldestSnapshotSeconds } from "../platform/snapshot.ts";
import { openTls } from "../platform/tls.ts";
import { measureQueue } from "../spool/inspect.ts";
import type { Opened } from "./session.ts";

export type Finding = Readonly<{
  check: string;
  state: "ok" | "warn" | "fail";
  detail: string;
  /** What to do about it. */
  advice?: string;
}>;

type Found = Omit<Finding, "check">;

const ok = (detail: string): Found => ({ state: "ok", detail });
const warn = (detail: string, advice: string): Found => ({ state: "warn", detail, advice });
const fail = (detail: string, advice: string): Found => ({ state: "fail", detail, advice });

const LEAST_NODE = 24;
const LEAST_POSTGRES = 150_000;
const LEAST_REDIS = 7;

export async function look(check: string, find: () => Found | Promise<Found>): Promise<Finding> {
  try {
    return { check, ...(await find()) };
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    const advice = connectionProblem(error) && "check POSTMETER_DATABASE_URL, and that PostgreSQL runs there";
    return { check, state: "fail", detail: reason, ...(advice && { advice }) };
  }
}

export function findNode(version = process.versions.node): Found {
  const major = Number(version.split(".")[0]);
  return major >= LEAST_NODE
    ? ok(version)
    : fail(version, `run it with Node ${LEAST_NODE}: npm start and npm run postmeter do`);
}

/** With the database open, in the order of what rests on what: after a failure the rest would only repeat it. */
export async function diagnoseDatabase({ database, clock, config, pending }: Opened): Promise<Finding[]> {
  const { db } = database;
  const embedded = config.databaseUrl === "";
  const checks: [check: string, find: () => Promise<Found>][] = [
    ["PostgreSQL", () => findServer(db)],
    ["durability", () => checkDurability(db).then(() => ok("fsync, full_page_writes and synchronous_commit are on"))],
    ["migrations", async () => findMigrations(await pending(), embedded)],
    ["clock", () => checkClock(db, clock).then(() => ok("agrees with PostgreSQL's within 5 s"))],
    ["partitions", () => findPartitions(db)],
    ["oldest transaction", () => findOldest(db)],
    ["queue", () => findQueue(db)],
    ["jobs", () => findJobs(db)],
    ["archive", () => findArchived(db, config)],
  ];
  const findings: Finding[] = [];
  for (const [check, find] of checks) {
    const finding = await look(check, find);
    findings.push(finding);
    const empty = check === "migrations" && finding.state !== "ok";
    if (finding.state === "fail" || empty) break;
  }
  return findings;
}

async function findServer(db: Db): Promise<Found> {
  const { number, text, recovering } = await readServer(db);
  if (recovering) return fail(`${text}, a standby`, "point POSTMETER_DATABASE_URL to the primary");
  return number >= LEAST_POSTGRES ? ok(text) : fail(text, "PostgreSQL 15 or later is needed");
}

function findMigrations(pending: readonly string[], embedded: boolean): Found {
  if (pending.length === 0) return ok("all are done");
  if (embedded) return warn(`${pending.length} pending`, "the next start runs them");
  return fail(`${pending.length} pending, ${pending[0]} first`, "postmeter migrate");
}

async function findPartitions(db: Db): Promise<Found> {
  const days = await readPartitionsAhead(db);
  const advice = "run a node with the role jobs; postmeter migrate makes them too";
  if (days < 1) return fail(`ready for ${Math.max(0, days)} days to come: soon no mail can be stored`, advice);
  return days < 7 ? warn(`ready for ${days} days to come`, advice) : ok(`ready for ${days} days to come`);
}

async function findOldest(db: Db): Promise<Found> {
  const seconds = Math.round(await oldestSnapshotSeconds(db));
  if (seconds < 60) return ok(`${seconds} s`);
  const advice = "end it: select pid, query from pg_stat_activity order by xact_start";
  return warn(`${seconds} s: it slows acceptance down for everybody`, advice);
}

async function findQueue(db: Db): Promise<Found> {
  const { depth, oldestSeconds } = await measureQueue(db);
  const detail = depth === 0 ? "empty" : `${depth} waiting, the oldest for ${Math.round(oldestSeconds / 60)} min`;
  return oldestSeconds < 3600
    ? ok(detail)
    : warn(detail, "postmeter queue list, then queue show: what the servers answer");
}

async function findJobs(db: Db): Promise<Found> {
  const { due, waitingSeconds, failed } = await readJobState(db);
  const since = Math.round(waitingSeconds / 60);
  if (since >= 10) return warn(`${due} due, the oldest for ${since} min`, "run a node with the role jobs");
  return failed > 0 ? warn(`${failed} given up`, "the log says why: job.failed") : ok(`${due} due`);
}

async function findArchived(db: Db, { archiveDir, retentionLedgerMs }: Config): Promise<Found> {
  const archived = (await listArchives(db)).filter((record) => record.archived);
  const missing = await missingFiles(archiveDir, archived);
  if (missing.length > 0) {
    const detail = `${missing.length} of ${archived.length} files are not in ${archiveDir}, ${missing[0]} first`;
    return warn(detail, "bring them back from the backup, or mount the folder (POSTMETER_ARCHIVE_DIR)");
  }
  if (archived.length > 0) return ok(`${archived.length} months of the ledger in ${archiveDir}`);
  return ok(retentionLedgerMs === null ? "none: the ledger stays in the database" : "no month is due yet, or it waits");
}

export async function findRedis({ redisUrl }: Config): Promise<Found> {
  if (redisUrl === "") return ok("none: PostgreSQL alone decides");
  const version = await readRedisVersion(redisUrl);
  if (version === undefined)
    return fail("it can't be reached; mail is accepted without it", "check POSTMETER_REDIS_URL");
  if (Number.parseInt(version, 10) < LEAST_REDIS) return fail(version, "Redis 7 or Valkey is needed");
  return ok(`${version}, noeviction`);
}

const DAY_MS = 86_400_000;

export async function findCertificate(config: Config, now: Date): Promise<Found> {
  if (config.tlsCert === "")
    return warn("self-signed: clients can't verify it", "set POSTMETER_TLS_CERT and POSTMETER_TLS_KEY");
  const { tlsCert: cert, tlsKey: key, hostname, dataDir } = config;
  const expiresAt = (await openTls({ cert, key, hostname, dataDir })).expiresAt();
  const days = Math.floor((expiresAt.getTime() - now.getTime()) / DAY_MS);
  const advice = "renew it, then send SIGHUP";
  if (days < 0) return fail(`expired ${-days} days ago`, advice);
  return days < 14 ? warn(`expires in ${days} days`, advice) : ok(`expires in ${days} days`);
}
