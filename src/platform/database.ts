/**
 * The way to Postgres: one pool of connections with the limits that keep one slow statement from stopping all tenants.
 *
 * Shapes: int8 and numeric arrive as numbers (every count here is far below 2^53), timestamptz as Date, jsonb as values.
 * On failure: a lost idle connection is replaced; a statement that waits for a lock for a second fails with 55P03.
 */
import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import type { Clock } from "./clock.ts";
import { Fault } from "./errors.ts";
import type { Schema } from "./schema.ts";

/** A connection, or the caller's transaction. */
export type Db = Kysely<Schema>;

export type Database = Readonly<{ pool: pg.Pool; db: Db; url: string; clockOffsetMs: number }> & AsyncDisposable;

export type DatabaseOptions = Readonly<{
  url: string;
  max?: number;
  clockOffsetMs?: number;
  applicationName?: string;
  /** Milliseconds; 0: no limit. Only migrations and offline checks need others than the defaults. */
  lockTimeoutMs?: number;
  statementTimeoutMs?: number;
}>;

const INT8 = 20;
const NUMERIC = 1700;
const INT8_ARRAY = 1016;
const INT4_ARRAY = 1007;
const BOOL_ARRAY = 1000;

const types = {
  getTypeParser(oid: number, format?: "text" | "binary"): (value: string) => unknown {
    if (oid === INT8 || oid === NUMERIC) return Number;
    if (oid === INT8_ARRAY || oid === INT4_ARRAY) return parseNumbers;
    if (oid === BOOL_ARRAY) return parseTruths;
    return pg.types.getTypeParser(oid, format as "text");
  },
} as pg.CustomTypesConfig;

/** Of one dimension, without quotes. The driver's own parser goes character by character: verdicts of each batch are such. */
function parsePlain<T>(text: string, parse: (item: string) => T): (T | null)[] {
  if (text === "{}") return [];
  const items = text.slice(1, -1).split(",");
  return items.map((item) => (item === "NULL" ? null : parse(item)));
}

const parseNumbers = (text: string) => parsePlain(text, Number);
const parseTruths = (text: string) => parsePlain(text, (item) => item === "t");

/** Settings of every connection, as a startup option: no round trip. */
function settings(options: DatabaseOptions): string {
  const values: Record<string, string | number> = {
    lock_timeout: options.lockTimeoutMs ?? 1000,
    statement_timeout: options.statementTimeoutMs ?? 30_000,
    idle_in_transaction_session_timeout: options.statementTimeoutMs === 0 ? 0 : 5000,
    synchronous_commit: "on",
    timezone: "UTC",
    "postmeter.clock_offset": `${options.clockOffsetMs ?? 0}ms`,
  };
  return Object.entries(values)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" ");
}

export function connectionConfig(options: DatabaseOptions): pg.PoolConfig {
  return {
    connectionString: options.url,
    options: settings(options),
    application_name: options.applicationName ?? "postmeter",
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: 5000,
    // A server that has vanished without a word ends no statement: our own patience is a little longer than its limit.
    ...(options.statementTimeoutMs === 0 ? {} : { query_timeout: (options.statementTimeoutMs ?? 30_000) + 5000 }),
    types,
  };
}

/** A connection that no pool has kept: what it says of the server is news. The caller ends it. */
export async function freshClient(options: DatabaseOptions): Promise<pg.Client> {
  const client = new pg.Client(connectionConfig(options));
  client.on("error", () => {});
  await client.connect();
  return client;
}

export function openDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({ ...connectionConfig(options), max: options.max ?? 10, idleTimeoutMillis: 60_000 });
  // A lost connection shows in the statement that runs on it; the pool opens another when it needs one.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  const db = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) });
  return {
    pool,
    db,
    url: options.url,
    clockOffsetMs: options.clockOffsetMs ?? 0,
    async [Symbol.asyncDispose]() {
      await db.destroy(); // ends the pool, but only where a statement was composed
      if (!pool.ending) await pool.end();
    },
  };
}

/** A 250 is a promise: refuses a database that may forget a commit. */
export async function checkDurability(db: Db): Promise<void> {
  const { rows } = await sql<{ name: string; setting: string }>`
    select name, setting from pg_settings where name in ('fsync', 'full_page_writes', 'synchronous_commit')`.execute(
    db,
  );
  const bad = rows.filter((row) => row.setting === "off");
  if (bad.length === 0) return;
  const named = bad.map((row) => `${row.name} = ${row.setting}`).join(", ");
  throw new Fault("unavailable", `PostgreSQL may lose accepted mail: ${named}. Set it to on.`);
}

/** Postgres's clock decides the period: a node that is more than 5 s off would show and report another truth. */
export async function checkClock(db: Db, clock: Clock): Promise<void> {
  const before = clock.now().getTime();
  const { rows } = await sql<{ now: Date }>`select pm_now() as now`.execute(db);
  const after = clock.now().getTime();
  const theirs = rows[0]?.now.getTime() ?? Number.NaN;
  const offMs = theirs < before ? before - theirs : Math.max(0, theirs - after);
  if (offMs <= 5000) return;
  const seconds = (offMs / 1000).toFixed(1);
  throw new Fault(
    "unavailable",
    `This machine's clock and PostgreSQL's differ by ${seconds} s (5 s allowed): synchronise them.`,
  );
}
