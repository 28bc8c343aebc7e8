/**
 * Brings a database to this program's tables: graphile-worker's own first (our functions call it), then migrations/ in order.
 *
 * Invariant: one migrator at a time (an advisory lock); a file runs once, in its own transaction order; a second run changes nothing.
 * On failure: throws with the name of the file; what came before it stays, the file itself leaves nothing behind.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { Logger, runMigrations } from "graphile-worker";
import { type Kysely, sql } from "kysely";
import { type Migration, Migrator } from "kysely/migration";
import type { Database } from "./database.ts";
import { openDatabase } from "./database.ts";
import type { Log } from "./log.ts";
import { ensurePartitions } from "./partitions.ts";

const folder = join(import.meta.dirname, "..", "..", "migrations");
const MIGRATION_LOCK = 7_221_100_001;
/** How long a statement of a migration may wait for a lock: while it waits, everybody behind it does. */
const LOCK_TIMEOUT_MS = 10_000;

export async function migrate(database: Database, log: Log): Promise<void> {
  await using own = openDatabase({
    url: database.url,
    clockOffsetMs: database.clockOffsetMs,
    max: 3,
    applicationName: "postmeter migrate",
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    statementTimeoutMs: 0,
  });
  const holder = await own.pool.connect();
  try {
    await lock(holder);
    await runMigrations({ pgPool: own.pool, logger: new Logger(() => () => {}) });
    await runFiles(own, log);
    await ensurePartitions(own.db);
  } finally {
    holder.release(true);
  }
}

/** Whether this program's migrations have all run; for programs that must not run them. */
export async function pendingMigrations(database: Database): Promise<string[]> {
  const all = await migrator(database).getMigrations();
  return all.filter((one) => one.executedAt === undefined).map((one) => one.name);
}

async function lock(client: { query(text: string): Promise<{ rows: unknown[] }> }): Promise<void> {
  for (;;) {
    const { rows } = await client.query(`select pg_try_advisory_lock(${MIGRATION_LOCK}) as locked`);
    if ((rows[0] as { locked: boolean }).locked) return;
    await sleep(200);
  }
}

async function runFiles(database: Database, log: Log): Promise<void> {
  const { error, results } = await migrator(database).migrateToLatest();
  for (const result of results ?? []) {
    if (result.status === "Success") log.info({ event: "migration.done", migration: result.migrationName });
  }
  if (error === undefined) return;
  const failed = results?.find((result) => result.status === "Error")?.migrationName ?? "none started";
  throw new Error(`migration ${failed}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

function migrator(database: Database): Migrator {
  return new Migrator({
    db: database.db,
    provider: { getMigrations: readMigrations },
    migrationTableName: "migration",
  });
}

async function readMigrations(): Promise<Record<string, Migration>> {
  const files = (await readdir(folder)).filter((name) => /^\d{4}_\w+\.(sql|ts)$/.test(name)).sort();
  return Object.fromEntries(await Promise.all(files.map(async (name) => [name, await readMigration(name)] as const)));
}

async function readMigration(name: string): Promise<Migration> {
  const path = join(folder, name);
  if (name.endsWith(".ts")) return (await import(pathToFileURL(path).href)) as Migration;
  const text = await readFile(path, "utf8");
  return { up: async (db: Kysely<unknown>) => void (await sql.raw(text).execute(db)) };
}
