/**
 * A real PostgreSQL in the data folder, for machines that have none: started here, or joined when it already runs.
 *
 * Invariant: it outlives the program that started it (also by SIGKILL) and is stopped by the last one that leaves; each user
 * of it holds a shared advisory lock on a connection of its own, so nobody joins a server that is being stopped. One that dies
 * while it is used is started again.
 * On failure: throws a Fault with PostgreSQL's own last words and the file that holds the others.
 */
import type { ChildProcess } from "node:child_process";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { findPlace, type Place } from "./embedded-place.ts";
import { ensureCluster, lastWords, serverPid, startServer, stopServer } from "./embedded-server.ts";
import { Fault } from "./errors.ts";
import type { Log } from "./log.ts";

export type Embedded = Readonly<{ url: string; pid(): number | undefined }> & AsyncDisposable;

const DATABASE = "postmeter";
const PRESENCE_LOCK = 7_221_100_002;
const START_TIMEOUT_MS = 60_000;
/** Starts that ended before anybody could connect. */
const MAX_FAILED_STARTS = 3;
/** Sessions of a server that was killed go on for a moment; the next one waits for their end. */
const STILL_ENDING = /shared memory block .*still in use|lock file .* already exists/;

/** `settings`: further `name=value` of PostgreSQL, and `env`: further variables, used when this call starts it. */
export async function startEmbedded(
  dataDir: string,
  log: Log,
  settings: readonly string[] = [],
  env: NodeJS.ProcessEnv = {},
): Promise<Embedded> {
  if (process.platform === "win32") {
    throw new Fault(
      "unavailable",
      "There is no embedded PostgreSQL on Windows: set POSTMETER_DATABASE_URL, or use WSL.",
    );
  }
  const place = findPlace(resolve(dataDir), log);
  ensureCluster(place);
  let leaving = false;
  let rejoining: Promise<void> | undefined;
  const connect = () =>
    startOrJoin(
      place,
      () => startServer(place, settings, env),
      () => leaving,
    );
  let present = await connect();
  const watch = () => {
    present.once("end", () => {
      if (!leaving) rejoining = rejoin();
    });
  };
  const rejoin = async () => {
    log.error({ event: "postgres.lost" });
    try {
      present = await connect();
      watch();
      log.info({ event: "postgres.back" });
    } catch (error) {
      log.fatal({ event: "postgres.failed", error: (error as Error).message });
    }
  };
  watch();
  return {
    url: urlOf(place, DATABASE),
    pid: () => serverPid(place),
    async [Symbol.asyncDispose]() {
      if (leaving) return;
      leaving = true;
      await rejoining;
      await leave(place, present, log);
    },
  };
}

async function startOrJoin(place: Place, start: () => ChildProcess, unwanted: () => boolean): Promise<pg.Client> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  let child: ChildProcess | undefined;
  let failed = 0;
  for (;;) {
    const client = await enter(place);
    if (client !== undefined) return client;
    if (unwanted()) throw new Fault("unavailable", "The embedded PostgreSQL is not wanted any more.");
    const ended = child !== undefined && hasEnded(child);
    if (ended && !STILL_ENDING.test(lastWords(place))) failed++;
    if (failed >= MAX_FAILED_STARTS || Date.now() > deadline) {
      throw new Fault(
        "unavailable",
        `The embedded PostgreSQL does not start: ${lastWords(place)} (more in ${place.logFile})`,
      );
    }
    if ((child === undefined || ended) && serverPid(place) === undefined) child = start();
    await sleep(ended ? 500 : 20);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

function urlOf(place: Place, database: string): string {
  return `postgresql://postmeter@localhost/${database}?host=${encodeURIComponent(place.socketFolder)}`;
}

/** Connects and takes the shared lock; undefined when no server takes us in (yet). */
async function enter(place: Place): Promise<pg.Client | undefined> {
  const client = new pg.Client({
    connectionString: urlOf(place, "postgres"),
    application_name: "postmeter presence",
    connectionTimeoutMillis: 5000,
    keepAlive: true,
  });
  client.on("error", () => {}); // followed by "end"
  try {
    await client.connect();
    await client.query("select pg_advisory_lock_shared($1)", [PRESENCE_LOCK]);
    await client.query(`create database ${DATABASE}`).catch((error: { code?: string }) => {
      if (error.code !== "42P04" && error.code !== "23505") throw error; // it exists; another makes it
    });
    return client;
  } catch {
    await client.end().catch(() => {});
    return undefined;
  }
}

/** Stops the server unless somebody else still uses it. */
async function leave(place: Place, client: pg.Client, log: Log): Promise<void> {
  let alone = true;
  try {
    await client.query("select pg_advisory_unlock_shared($1)", [PRESENCE_LOCK]);
    const { rows } = await client.query("select pg_try_advisory_lock($1) as alone", [PRESENCE_LOCK]);
    alone = rows[0].alone;
  } catch {
    // the connection is lost: so is the server, or it is going
  }
  const pid = serverPid(place);
  if (alone && pid !== undefined) await stopServer(pid, log);
  await client.end().catch(() => {});
}
