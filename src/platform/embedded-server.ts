/** The PostgreSQL server of a cluster: set up, started, found, stopped. Its process never is this program's responsibility alone. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { chmodSync, closeSync, existsSync, openSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makePrivate, type Place } from "./embedded-place.ts";
import { Fault } from "./errors.ts";
import type { Log } from "./log.ts";

const STOP_TIMEOUT_MS = 20_000;

/** Sets the cluster up beside its place and renames it: a crash in between leaves nothing half made. */
export function ensureCluster(place: Place): void {
  if (isCluster(place.folder)) {
    checkVersion(place);
    return;
  }
  const fresh = `${place.folder}.new-${process.pid}`;
  makePrivate(fresh, place.user);
  const args = ["-D", fresh, "-U", "postmeter", "--auth=trust", "--encoding=UTF8", "--no-instructions"];
  const locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"];
  const made = run(place, "initdb", [...args, ...locale]);
  if (made.status === 0 && move(fresh, place.folder)) return;
  rmSync(fresh, { recursive: true, force: true });
  if (isCluster(place.folder)) return; // another program was first
  const reason = made.error?.message ?? (made.stderr.trim() || `${place.folder} is not empty`);
  throw new Fault("unavailable", `The embedded PostgreSQL can't be set up: ${reason}`);
}

function isCluster(folder: string): boolean {
  return existsSync(join(folder, "PG_VERSION"));
}

function move(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch {
    return false;
  }
}

function checkVersion(place: Place): void {
  const cluster = readFileSync(join(place.folder, "PG_VERSION"), "utf8").trim();
  const ours = /\d+/.exec(run(place, "postgres", ["--version"]).stdout ?? "")?.[0];
  if (ours === undefined || ours === cluster) return;
  throw new Fault(
    "unavailable",
    `The database in ${place.folder} is of PostgreSQL ${cluster}, this program brings ${ours}: dump it with the old one, or use that one and POSTMETER_DATABASE_URL.`,
  );
}

function run(place: Place, program: string, args: readonly string[]) {
  const path = join(place.native, "bin", program);
  return spawnSync(path, args, { ...place.user, cwd: "/", encoding: "utf8", env: environment() });
}

function environment(): NodeJS.ProcessEnv {
  return { PATH: "/usr/bin:/bin", LC_ALL: "C" };
}

/** Detached: Ctrl-C in a terminal reaches the program, which drains first, and not the database. */
export function startServer(place: Place, further: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const settings = [
    "listen_addresses=",
    `unix_socket_directories=${place.socketFolder}`,
    "unix_socket_permissions=0700",
    "max_connections=200",
    "jit=off",
    ...further,
  ].flatMap((setting) => ["-c", setting]);
  forgetForeignPid(place);
  const logFile = openSync(place.logFile, "a", 0o600);
  chmodSync(place.logFile, 0o600);
  try {
    const child = spawn(join(place.native, "bin", "postgres"), ["-D", place.folder, ...settings], {
      ...place.user,
      cwd: "/",
      detached: true,
      stdio: ["ignore", logFile, logFile],
      env: { ...environment(), ...env },
    });
    child.on("error", () => {}); // shows as a server that has ended
    child.unref();
    return child;
  } finally {
    closeSync(logFile);
  }
}

/** The server's process, if the cluster has one that lives. */
export function serverPid(place: Place): number | undefined {
  const pid = writtenPid(place);
  return pid !== undefined && alive(pid) && isServer(pid) ? pid : undefined;
}

function writtenPid(place: Place): number | undefined {
  try {
    const pid = Number(readFileSync(join(place.folder, "postmaster.pid"), "utf8").split("\n")[0]);
    return Number.isInteger(pid) && pid > 1 ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** After a restart of the machine or container the number may belong to anybody, and PostgreSQL would refuse to start. */
function forgetForeignPid(place: Place): void {
  const pid = writtenPid(place);
  if (pid !== undefined && alive(pid) && !isServer(pid)) rmSync(join(place.folder, "postmaster.pid"), { force: true });
}

function isServer(pid: number): boolean {
  const { name } = processStatus(pid) ?? {};
  if (name !== undefined) return name === "postgres";
  const listed = spawnSync("ps", ["-p", String(pid), "-o", "comm="], { encoding: "utf8" });
  return listed.status === 0 && listed.stdout.trim().endsWith("postgres");
}

/** One that has ended and waits for its parent counts as dead. */
function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  return processStatus(pid)?.state !== "Z";
}

/** Linux only, else undefined: proc_pid_stat(5), `pid (name) state ...`. */
function processStatus(pid: number): { name: string; state: string } | undefined {
  try {
    const match = /\((.*)\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8"));
    return match?.[1] && match[2] ? { name: match[1], state: match[2] } : undefined;
  } catch {
    return undefined;
  }
}

/** Fast shutdown: ends sessions and writes a checkpoint. One that takes too long is ended at once and recovers at its next start. */
export async function stopServer(pid: number, log: Log): Promise<void> {
  process.kill(pid, "SIGINT");
  const deadline = Date.now() + STOP_TIMEOUT_MS;
  while (alive(pid)) {
    if (Date.now() > deadline) {
      log.warn({ event: "postgres.slow_stop", pid });
      process.kill(pid, "SIGQUIT");
      return;
    }
    await sleep(20);
  }
}

/** The end of the server's own log, for the message of a failed start. */
export function lastWords(place: Place): string {
  try {
    const lines = readFileSync(place.logFile, "utf8").trim().split("\n");
    return lines.filter((line) => /FATAL|ERROR|PANIC/.test(line)).at(-1) ?? lines.at(-1) ?? "";
  } catch {
    return "";
  }
}
