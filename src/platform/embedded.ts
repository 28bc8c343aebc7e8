/**
 * A real PostgreSQL in the data folder, for machines that have none: started here, or joined when it already runs.
 *
 * Invariant: it outlives the program that started it (also by SIGKILL) and is stopped by the last one that leaves; each user
 * of it holds a shared advisory lock on a connection of its own, so nobody joins a server that is being stopped.
 * On failure: throws a Fault that says where PostgreSQL's own log is.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { embeddedBinaries } from "./embedded-binaries.ts";
import { embeddedUser, type RunAs } from "./embedded-user.ts";
import { Fault } from "./errors.ts";
import type { Log } from "./log.ts";

export type Embedded = Readonly<{ url: string; pid: number }> & AsyncDisposable;

const PRESENCE_LOCK = 7_221_100_002;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
/** A unix socket's path is at most 107 bytes long, `/.s.PGSQL.5432` included. */
const MAX_SOCKET_FOLDER = 90;

type Cluster = Readonly<{
  folder: string;
  socketFolder: string;
  logFile: string;
  native: string;
  user: RunAs;
  settings: readonly string[];
}>;

/** `settings`: further `name=value` of PostgreSQL, used only when this call starts it. */
export async function startEmbedded(dataDir: string, log: Log, settings: readonly string[] = []): Promise<Embedded> {
  const cluster = prepare(resolve(dataDir), settings);
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const present = await enter(cluster);
    if (present !== undefined) {
      const pid = postmasterPid(cluster) ?? 0;
      return { url: urlOf(cluster, "postmeter"), pid, [Symbol.asyncDispose]: () => leave(cluster, present, log) };
    }
    if (Date.now() > deadline)
      throw new Fault("unavailable", `The embedded PostgreSQL does not start: see ${cluster.logFile}.`);
    if (postmasterPid(cluster) === undefined) start(cluster, log);
    await sleep(20);
  }
}

function prepare(dataDir: string, settings: readonly string[]): Cluster {
  const user = embeddedUser();
  const native = embeddedBinaries();
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  if (user.uid !== undefined) chmodSync(dataDir, 0o711); // to be passed through, not listed; what is secret inside has its own mode
  const folder = join(dataDir, "postgres");
  let socketFolder = join(dataDir, "socket");
  if (Buffer.byteLength(socketFolder) > MAX_SOCKET_FOLDER) {
    socketFolder = join(tmpdir(), `postmeter-${createHash("sha256").update(dataDir).digest("hex").slice(0, 16)}`);
  }
  const logFile = join(dataDir, "postgres.log");
  own(socketFolder, user);
  const cluster = { folder, socketFolder, logFile, native, user, settings };
  if (!existsSync(join(folder, "PG_VERSION"))) initialise(cluster);
  return cluster;
}

/** Makes a folder that only the database's user (and root) can enter. */
function own(folder: string, user: RunAs): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);
}

/** Builds the cluster beside its place and renames it: a crash in between leaves nothing half made. */
function initialise(cluster: Cluster): void {
  const fresh = `${cluster.folder}.new-${process.pid}`;
  own(fresh, cluster.user);
  const args = ["-D", fresh, "-U", "postmeter", "--auth=trust", "--encoding=UTF8", "--no-instructions"];
  const locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"];
  const made = spawnSync(join(cluster.native, "bin", "initdb"), [...args, ...locale], {
    ...cluster.user,
    cwd: "/",
    encoding: "utf8",
    env: environment(),
  });
  if (made.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw new Fault(
      "unavailable",
      `The embedded PostgreSQL can't be set up: ${made.error?.message ?? made.stderr.trim()}`,
    );
  }
  renameSync(fresh, cluster.folder);
}

function environment(): NodeJS.ProcessEnv {
  return {
    PATH: "/usr/bin:/bin",
    LC_ALL: "C",
    ...(process.env.SystemRoot ? { SystemRoot: process.env.SystemRoot } : {}),
  };
}

/** Detached: Ctrl-C in a terminal reaches the program, which drains first, and not the database. */
function start(cluster: Cluster, log: Log): void {
  const settings = [
    "listen_addresses=",
    `unix_socket_directories=${cluster.socketFolder}`,
    "unix_socket_permissions=0700",
    "max_connections=200",
    "jit=off",
    ...cluster.settings,
  ];
  const logFile = openSync(cluster.logFile, "a");
  const child = spawn(
    join(cluster.native, "bin", "postgres"),
    ["-D", cluster.folder, ...settings.flatMap((setting) => ["-c", setting])],
    { ...cluster.user, cwd: "/", detached: true, stdio: ["ignore", logFile, logFile], env: environment() },
  );
  closeSync(logFile);
  child.on("error", (error) => log.error({ event: "postgres.failed", error: error.message }));
  child.unref();
}

function urlOf(cluster: Cluster, database: string): string {
  return `postgresql://postmeter@localhost/${database}?host=${encodeURIComponent(cluster.socketFolder)}`;
}

/** The server's process, if the cluster has one that lives. */
function postmasterPid(cluster: Cluster): number | undefined {
  try {
    const pid = Number(readFileSync(join(cluster.folder, "postmaster.pid"), "utf8").split("\n")[0]);
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}

/** Connects and takes the shared lock; undefined when no server takes us in (yet). */
async function enter(cluster: Cluster): Promise<pg.Client | undefined> {
  const client = new pg.Client({
    connectionString: urlOf(cluster, "postgres"),
    application_name: "postmeter presence",
    connectionTimeoutMillis: 5000,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("select pg_advisory_lock_shared($1)", [PRESENCE_LOCK]);
    await client.query("create database postmeter").catch((error: { code?: string }) => {
      if (error.code !== "42P04" && error.code !== "23505") throw error;
    });
    return client;
  } catch {
    await client.end().catch(() => {});
    return undefined;
  }
}

/** Stops the server unless somebody else still uses it. */
async function leave(cluster: Cluster, client: pg.Client, log: Log): Promise<void> {
  let alone = true;
  try {
    await client.query("select pg_advisory_unlock_shared($1)", [PRESENCE_LOCK]);
    const { rows } = await client.query("select pg_try_advisory_lock($1) as alone", [PRESENCE_LOCK]);
    alone = rows[0].alone;
  } catch {
    // the connection is lost: the server is gone or going
  }
  const pid = postmasterPid(cluster);
  if (alone && pid !== undefined) await stop(pid, log);
  await client.end().catch(() => {});
}

async function stop(pid: number, log: Log): Promise<void> {
  process.kill(pid, "SIGINT"); // fast shutdown: ends sessions, writes a checkpoint
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  while (alive(pid)) {
    if (Date.now() > deadline) {
      log.warn({ event: "postgres.slow_stop", pid });
      process.kill(pid, "SIGQUIT"); // immediate shutdown: recovers at the next start, loses nothing
      return;
    }
    await sleep(20);
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
