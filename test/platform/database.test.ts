import { sql } from "kysely";
import { expect, test } from "vitest";
import { createClock } from "../../src/platform/clock.ts";
import { checkClock, checkDurability, openDatabase } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";

const database = await testDatabase();

test("each connection bounds its waits and keeps its commits", async () => {
  const { rows } = await sql<Record<string, string>>`
    select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement,
           current_setting('idle_in_transaction_session_timeout') as idle, current_setting('synchronous_commit') as commit,
           current_setting('TimeZone') as zone`.execute(database.db);
  expect(rows).toEqual([{ lock: "1s", statement: "30s", idle: "5s", commit: "on", zone: "UTC" }]);
});

test("counts arrive as numbers, instants as dates, documents as values", async () => {
  const { rows } = await database.pool.query(
    `select 9007199254740991::int8 as big, 2.5::numeric(6,2) as factor, '{1,null,3}'::int8[] as list, '{}'::int8[] as none, '{1,-2,null}'::int4[] as small, '{t,f,null}'::bool[] as truths,
            '2026-11-01T00:00:00Z'::timestamptz as at, '[1]'::jsonb as document`,
  );
  expect(rows).toEqual([
    {
      big: 9_007_199_254_740_991,
      factor: 2.5,
      list: [1, null, 3],
      small: [1, -2, null],
      truths: [true, false, null],
      none: [],
      at: new Date("2026-11-01T00:00:00Z"),
      document: [1],
    },
  ]);
});

test("a waiter for a lock gives up after a second", async () => {
  await database.pool.query("create table one (n int); insert into one values (1)");
  await using holder = openDatabase({ url: database.url, max: 1 });
  await holder.db.transaction().execute(async (trx) => {
    await sql`update one set n = 2`.execute(trx);
    await expect(database.pool.query("update one set n = 3")).rejects.toMatchObject({ code: "55P03" });
  });
});

test("the database's clock follows the program's offset", async () => {
  await using ahead = openDatabase({ url: database.url, clockOffsetMs: 31 * 86_400_000 });
  await checkClock(ahead.db, createClock(ahead.clockOffsetMs));
  await expect(checkClock(ahead.db, createClock())).rejects.toThrow(/differ by 26784\d\d\.\d s/);
  await using behind = openDatabase({ url: database.url, clockOffsetMs: -3000 });
  await checkClock(behind.db, createClock());
});

test("a database that may forget a commit is refused by the name of the setting", async () => {
  await checkDurability(database.db);
  await database.db.connection().execute(async (connection) => {
    await sql`set synchronous_commit = off`.execute(connection);
    await expect(checkDurability(connection)).rejects.toThrow("synchronous_commit = off");
  });
});

test("a lost connection is replaced", async () => {
  await using one = openDatabase({ url: database.url, max: 1 });
  await one.pool.query("select pg_terminate_backend(pg_backend_pid())").catch(() => {});
  const ask = async () => (await one.pool.query("select 1 as n")).rows;
  await expect.poll(() => ask().catch(() => [])).toEqual([{ n: 1 }]);
});

test("what is closed leaves no connection open, whichever way it was used", async () => {
  const plain = openDatabase({ url: database.url });
  await plain.pool.query("select 1");
  const composed = openDatabase({ url: database.url });
  await sql`select 1`.execute(composed.db);
  for (const opened of [plain, composed, openDatabase({ url: database.url })]) {
    await opened[Symbol.asyncDispose]();
    expect(opened.pool.totalCount).toBe(0);
    await opened[Symbol.asyncDispose]();
  }
});
