/** Once per run: one PostgreSQL with a migrated template, which each test file copies. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { TestProject } from "vitest/node";
import { openDatabase } from "../../src/platform/database.ts";
import { startEmbedded } from "../../src/platform/embedded.ts";
import { migrate } from "../../src/platform/migrate.ts";
import { silentLog } from "./log.ts";
import { TEMPLATE, withDatabase } from "./template.ts";

declare module "vitest" {
  export interface ProvidedContext {
    postgresUrl: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  sweep();
  const folder = mkdtempSync(join(places().at(0) ?? tmpdir(), `postmeter-test-${process.pid}-`));
  const embedded = await startEmbedded(folder, silentLog, ["shared_buffers=64MB", "max_wal_size=512MB"]);
  await using admin = openDatabase({ url: embedded.url, max: 1 });
  await admin.pool.query(`create database ${TEMPLATE}`);
  {
    await using template = openDatabase({ url: withDatabase(embedded.url, TEMPLATE) });
    await migrate(template, silentLog);
  }
  project.provide("postgresUrl", embedded.url);
  return async () => {
    await embedded[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  };
}

const MEMORY = "/dev/shm";
const ROOM_BYTES = 4 * 2 ** 30;

/**
 * Where a run may keep its server, best first. In memory its fsyncs cost nothing and stay on, as the programs under test
 * ask for; suites that pull the plug bring a server of their own.
 */
function places(): string[] {
  return hasRoom(MEMORY) ? [MEMORY, tmpdir()] : [tmpdir()];
}

function hasRoom(folder: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize >= ROOM_BYTES;
  } catch {
    return false; // not on this system
  }
}

/** A run that was killed leaves its server behind: it is ended by its own process number. */
function sweep(): void {
  for (const folder of places().flatMap((place) => readdirSync(place).map((name) => join(place, name)))) {
    const pid = /^postmeter-test-(\d+)-/.exec(basename(folder))?.[1];
    if (pid === undefined || lives(Number(pid))) continue;
    try {
      const server = Number(readFileSync(join(folder, "postgres", "postmaster.pid"), "utf8").split("\n")[0]);
      if (readFileSync(`/proc/${server}/cmdline`, "utf8").includes(folder)) process.kill(server, "SIGQUIT");
    } catch {
      // it has ended
    }
    rmSync(folder, { recursive: true, force: true });
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
