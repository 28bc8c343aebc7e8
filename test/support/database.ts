/** A fresh database per caller, copied from the migrated template; dropped when the file ends. */
import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, inject } from "vitest";
import { type Clock, createClock } from "../../src/platform/clock.ts";
import { type Database, openDatabase } from "../../src/platform/database.ts";
import { TEMPLATE, withDatabase } from "./template.ts";

export type TestDatabase = Database & Readonly<{ clock: Clock }>;

/** `lockTimeoutMs`: where a crowd waits for one row on a machine that may be busy. */
export type TestDatabaseOptions = Readonly<{ clockOffsetMs?: number; max?: number; lockTimeoutMs?: number }>;

export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { clockOffsetMs = 0, max = 10, lockTimeoutMs = 1000 } = options;
  const url = await createDatabase();
  const database = openDatabase({ url, clockOffsetMs, max, lockTimeoutMs, applicationName: "postmeter test" });
  const clock = createClock(clockOffsetMs);
  let disposed = false;
  const dispose = async () => {
    if (disposed) return;
    disposed = true;
    await database[Symbol.asyncDispose]();
    await administer(`drop database if exists ${new URL(url).pathname.slice(1)} with (force)`);
  };
  afterAll(dispose);
  return { ...database, clock, [Symbol.asyncDispose]: dispose };
}

/** The address of a fresh migrated database, for programs that open it themselves. Dropped with the whole server. */
export async function createDatabase(template: string = TEMPLATE): Promise<string> {
  const name = `t_${randomBytes(8).toString("hex")}`;
  await administer(`create database ${name} template ${template}`);
  return withDatabase(inject("postgresUrl"), name);
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject("postgresUrl") });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
