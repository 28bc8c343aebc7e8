import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { afterAll, expect, inject, test } from "vitest";
import { createClock } from "../../src/platform/clock.ts";
import { openDatabase } from "../../src/platform/database.ts";
import { type MessageId, newId } from "../../src/platform/ids.ts";
import { migrate, pendingMigrations } from "../../src/platform/migrate.ts";
import { ensurePartitions } from "../../src/platform/partitions.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { withDatabase } from "../support/template.ts";

const DAY_MS = 86_400_000;

async function emptyDatabase(): Promise<string> {
  const name = `t_${randomBytes(8).toString("hex")}`;
  const admin = openDatabase({ url: inject("postgresUrl"), max: 1 });
  await admin.pool.query(`create database ${name}`);
  afterAll(async () => {
    await admin.pool.query(`drop database if exists ${name} with (force)`);
    await admin[Symbol.asyncDispose]();
  });
  return withDatabase(inject("postgresUrl"), name);
}

test("two programs that start at the same moment migrate once, one after the other", async () => {
  const url = await emptyDatabase();
  await using first = openDatabase({ url });
  await using second = openDatabase({ url });
  const before = await pendingMigrations(first);
  expect(before.length).toBeGreaterThan(5);
  await Promise.all([migrate(first, silentLog), migrate(second, silentLog)]);
  expect(await pendingMigrations(first)).toEqual([]);
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from migration`.execute(first.db);
  expect(rows).toEqual([{ n: before.length }]);
});

test("a second run on a filled database changes nothing", async () => {
  await using database = await testDatabase();
  const { masterId } = await seedMaster(database);
  await seedSubaccount(database, masterId);
  await migrate(database, silentLog);
  expect(await database.db.selectFrom("subaccount").select("id").execute()).toHaveLength(2);
});

test("every day from yesterday to two weeks ahead has its partitions, and several nodes may see to it at once", async () => {
  await using database = await testDatabase();
  expect(await ensurePartitions(database.db)).toBe(0);
  const made = await Promise.all([1, 2, 3].map(() => ensurePartitions(database.db, 18)));
  expect(made.sort()).toEqual([0, 0, 10]);
  const { masterId, ownSubaccountId } = await seedMaster(database);
  for (const days of [-1, 0, 1, 14]) {
    const clock = createClock(days * DAY_MS);
    const message = { id: newId<MessageId>(clock), kind: "submitted" as const, sender: "", units: 1, size_bytes: 1 };
    const owner = { master_id: masterId, subaccount_id: ownSubaccountId, accepted_at: clock.now() };
    await database.db
      .insertInto("message")
      .values({ ...message, ...owner })
      .execute();
  }
  const { rows } = await sql<{ n: number }>`select count(distinct tableoid)::int as n from message`.execute(
    database.db,
  );
  expect(rows).toEqual([{ n: 4 }]);
});

test("partitions follow the program's shifted clock", async () => {
  await using database = await testDatabase({ clockOffsetMs: 60 * DAY_MS });
  expect(await ensurePartitions(database.db)).toBeGreaterThan(0);
  const id = newId<MessageId>(database.clock);
  await database.db
    .insertInto("body")
    .values({ message_id: id, part: 0, bytes: Buffer.from("x") })
    .execute();
});
