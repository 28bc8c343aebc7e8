/**
 * Where the embedded PostgreSQL lives: in the data folder, run from node_modules. When root starts it and the unprivileged user
 * can't reach one of them (a checkout in /root, say), what it can't reach is placed in a folder of its own that it can.
 */
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Binaries, embeddedBinaries, linkLibraries } from "./embedded-binaries.ts";
import { canReach, embeddedUser, type RunAs } from "./embedded-user.ts";
import { Fault } from "./errors.ts";
import type { Log } from "./log.ts";

export type Place = Readonly<{
  /** The cluster's folder (PGDATA). */
  folder: string;
  socketFolder: string;
  logFile: string;
  /** Holds bin/, lib/ and share/. */
  native: string;
  user: RunAs;
}>;

/** Root's folder for what the unprivileged user must reach. */
const OUTSIDE = "/var/lib/postmeter-embedded";
/** A unix socket's path is at most 107 bytes long (103 on macOS), `/.s.PGSQL.5432` included. */
const MAX_SOCKET_FOLDER = 85;

/** `dataDir`: an absolute path. `outside`: for tests. */
export function findPlace(dataDir: string, log: Log, outside = OUTSIDE): Place {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const inside = join(dataDir, "postgres");
  const user = embeddedUser(inside);
  const native = usableBinaries(embeddedBinaries(), user, user.uid === undefined ? dataDir : outside, log);
  // To be passed through by the database's user, not listed; what is secret inside has its own mode.
  if (user.uid !== undefined && user.uid !== 0) chmodSync(dataDir, 0o711);
  if (!existsSync(inside) && !canReach(dataDir, user)) placeOutside(inside, outside, log);
  const folder = existsSync(inside) ? realpathSync(inside) : inside;
  if (!canReach(dirname(folder), user)) {
    throw new Fault(
      "unavailable",
      `User ${user.uid}, who runs the database, can't reach ${folder}: open the folders above it (chmod o+x).`,
    );
  }
  return {
    folder,
    socketFolder: socketFolder(dirname(folder), user),
    logFile: join(dataDir, "postgres.log"),
    native,
    user,
  };
}

/** Makes a folder that only the database's user (and root) can enter. */
export function makePrivate(folder: string, user: RunAs): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  if (user.uid !== undefined && user.gid !== undefined) chownSync(folder, user.uid, user.gid);
}

function socketFolder(home: string, user: RunAs): string {
  let folder = join(home, "socket");
  if (Buffer.byteLength(folder) > MAX_SOCKET_FOLDER) {
    folder = join(tmpdir(), `postmeter-${createHash("sha256").update(home).digest("hex").slice(0, 16)}`);
  }
  makePrivate(folder, user);
  return folder;
}

function placeOutside(link: string, outside: string, log: Log): void {
  const home = join(outside, randomBytes(8).toString("hex"));
  mkdirSync(join(home, "postgres"), { recursive: true, mode: 0o711 });
  symlinkSync(join(home, "postgres"), link);
  log.warn({
    event: "postgres.outside",
    folder: home,
    reason: "an unprivileged user runs it and can't reach the data folder",
  });
}

/** The programs, copied once per version when the user can't reach them, or complete them, where npm put them. */
function usableBinaries({ folder, version, complete }: Binaries, user: RunAs, home: string, log: Log): string {
  if (complete && canReach(join(folder, "bin", "postgres"), user)) return folder;
  const copy = join(home, `postgresql-${version}`);
  if (!existsSync(copy)) {
    mkdirSync(home, { recursive: true, mode: 0o755 });
    const fresh = `${copy}.${process.pid}`;
    cpSync(folder, fresh, { recursive: true, verbatimSymlinks: true });
    openToAll(fresh);
    linkLibraries(fresh);
    try {
      renameSync(fresh, copy);
    } catch {
      rmSync(fresh, { recursive: true, force: true }); // another program was first
    }
    log.info({ event: "postgres.copied", folder: copy });
  }
  if (canReach(join(copy, "bin", "postgres"), user)) return copy;
  throw new Fault(
    "unavailable",
    `User ${user.uid}, who runs the database, can't reach ${copy}: open the folders above it (chmod o+x).`,
  );
}

function openToAll(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) openToAll(join(folder, entry.name));
  }
}
