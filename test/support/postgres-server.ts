/**
 * A PostgreSQL of a test's own that nobody starts again when it dies, and streaming replicas of it. Made from the programs that
 * come with the project (initdb, postgres); a replica is a copy of the folder, taken in backup mode. Ended with the file.
 */
import { spawnSync } from "node:child_process";
import { lchownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll } from "vitest";
import { findPlace, type Place } from "../../src/platform/embedded-place.ts";
import { ensureCluster, lastWords, serverPid, startServer } from "../../src/platform/embedded-server.ts";
import { silentLog } from "./log.ts";
import { eventually } from "./relay.ts";

export type Server = Readonly<{
  place: Place;
  url(database?: string): string;
  /** One statement on a connection of its own, to `postgres`. */
  ask<Row extends pg.QueryResultRow>(statement: string, database?: string): Promise<Row[]>;
  start(): Promise<void>;
  /** SIGQUIT: at once and without a checkpoint. SIGKILL: the postmaster alone; its children end when they see it. */
  end(signal?: NodeJS.Signals): Promise<void>;
}>;

/** Registered here: servers are made in the middle of tests, too. */
const servers: Server[] = [];
const folders: string[] = [];
afterAll(async () => {
  await Promise.all(servers.map((server) => server.end("SIGQUIT")));
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

export type ServerOptions = Readonly<{ settings?: readonly string[]; folder?: string }>;

/** Set up, not started. */
export function makeServer({ settings = [], folder = freshFolder() }: ServerOptions = {}): Server {
  const place = findPlace(folder, silentLog);
  ensureCluster(place);
  return serverAt(place, settings);
}

function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "postmeter-test-pg-"));
  folders.push(folder);
  return folder;
}

function serverAt(place: Place, settings: readonly string[]): Server {
  const url = (database = "postgres") =>
    `postgresql://postmeter@localhost/${database}?host=${encodeURIComponent(place.socketFolder)}`;
  const ask = async <Row extends pg.QueryResultRow>(statement: string, database?: string) => {
    const client = new pg.Client({ connectionString: url(database), connectionTimeoutMillis: 5000 });
    client.on("error", () => {});
    try {
      await client.connect();
      return (await client.query<Row>(statement)).rows;
    } finally {
      await client.end().catch(() => {});
    }
  };
  const server: Server = {
    place,
    url,
    ask,
    async start() {
      const answers = () =>
        ask("select 1").then(
          () => true,
          () => false,
        );
      let child = startServer(place, settings);
      await eventually(async () => {
        if (await answers()) return true;
        // Children of one that was killed hold its memory for a moment longer.
        if (child.exitCode !== null || child.signalCode !== null) child = startServer(place, settings);
        return false;
      }, "Postgres starts").catch((error: Error) => {
        throw new Error(`${error.message}: ${lastWords(place)}`);
      });
    },
    async end(signal = "SIGQUIT") {
      const pid = serverPid(place);
      if (pid === undefined) return;
      process.kill(pid, signal);
      await eventually(async () => serverPid(place) !== pid, "Postgres ends");
    },
  };
  servers.push(server);
  return server;
}

/** A streaming replica of a running server, running. `name`: as synchronous_standby_names knows it. */
export async function startReplica(primary: Server, name: string, settings: readonly string[] = []): Promise<Server> {
  const place = findPlace(freshFolder(), silentLog);
  const backup = new pg.Client({ connectionString: primary.url() });
  await backup.connect();
  try {
    await backup.query("select pg_backup_start('replica', true)");
    const copied = spawnSync("cp", ["-a", primary.place.folder, place.folder], { encoding: "utf8" });
    // What a running server removes meanwhile is not missed.
    if (copied.status !== 0 && !/^(cp: .*No such file or directory\n)+$/.test(copied.stderr)) {
      throw new Error(`no replica: ${copied.stderr}`);
    }
    const { rows } = await backup.query<{ labelfile: string }>("select labelfile from pg_backup_stop(false)");
    for (const file of ["postmaster.pid", "postmaster.opts"]) rmSync(join(place.folder, file), { force: true });
    write(place, "backup_label", rows[0]?.labelfile ?? "");
    write(place, "standby.signal", "");
    write(place, "postgresql.auto.conf", conninfo(primary, name));
  } finally {
    await backup.end();
  }
  const replica = serverAt(place, settings);
  await replica.start();
  const streams = async () =>
    (await primary.ask(`select from pg_stat_replication where application_name = '${name}'`)).length;
  await eventually(async () => (await streams()) === 1, "the replica streams");
  return replica;
}

/** In the file that ALTER SYSTEM changes, so that it can be taken away. */
function conninfo({ place }: Server, name: string): string {
  return `primary_conninfo = 'host=${place.socketFolder} user=postmeter application_name=${name}'\n`;
}

function write(place: Place, name: string, text: string): void {
  writeFileSync(join(place.folder, name), text, { mode: 0o600 });
  own(place, join(place.folder, name));
}

function own({ user }: Place, path: string): void {
  if (user.uid !== undefined && user.gid !== undefined) lchownSync(path, user.uid, user.gid);
}

/** A folder for a tablespace, on another disk. */
export function makeTablespace({ place }: Server, disk: string): string {
  const folder = join(disk, "tablespace");
  mkdirSync(folder, { mode: 0o700 });
  own(place, folder);
  return folder;
}

/** Of a server that does not run: its log of changes lies on another disk from now on. */
export function moveWal({ place }: Server, disk: string): void {
  const [from, to] = [join(place.folder, "pg_wal"), join(disk, "pg_wal")];
  const copied = spawnSync("cp", ["-a", from, to], { encoding: "utf8" });
  if (copied.status !== 0) throw new Error(`pg_wal can't be moved: ${copied.stderr}`);
  rmSync(from, { recursive: true });
  symlinkSync(to, from);
  own(place, from);
}

/** How often its log says so. */
export function countLogged({ place }: Server, words: RegExp): number {
  return readFileSync(place.logFile, "utf8").match(words)?.length ?? 0;
}
