import { expect, test } from "vitest";
import type { MessageId } from "../../src/platform/ids.ts";
import { purge } from "../../src/spool/purge.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { submissionOf, testAcceptor } from "../support/submission.ts";

const hour = 3_600_000;
const day = 24 * hour;
const retention = { bodiesMs: hour, messagesMs: 30 * day, eventsMs: 30 * day };

async function stored() {
  const database = await testDatabase();
  const { masterId } = await seedMaster(database);
  const subaccountId = await seedSubaccount(database, masterId);
  const acceptor = testAcceptor(database);
  /** Accepts a message and makes it `ageMs` old. */
  const message = async (ageMs: number, settledMs: number | null) => {
    const submission = submissionOf({ masterId, subaccountId });
    const id = agedId(submission.id, ageMs);
    await database.pool.query("select ensure_partitions((pm_now() - make_interval(secs => $1::float8))::date - 1, 3)", [
      ageMs / 1000,
    ]);
    await acceptor.accept({ ...submission, id });
    if (settledMs !== null) {
      await database.pool.query("delete from queue where message_id = $1", [id]);
      await database.pool.query(
        "update recipient set state = 'delivered', settled_at = pm_now() - make_interval(secs => $2::float8) where message_id = $1",
        [id, settledMs / 1000],
      );
    }
    return id;
  };
  const has = async (table: string, column: string, id: MessageId) =>
    (await database.pool.query(`select from ${table} where ${column} = $1`, [id])).rowCount === 1;
  return { database, message, has };
}

function agedId(id: MessageId, ageMs: number): MessageId {
  const hex = (Date.now() - ageMs).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}${id.slice(13)}` as MessageId;
}

test("a body goes when its retention after delivery has passed; what is queued or just delivered stays", async () => {
  const { database, message, has } = await stored();
  const done = await message(3 * hour, 2 * hour);
  const justDone = await message(3 * hour, hour / 2);
  const queued = await message(3 * hour, null);
  await purge(database.db, retention);
  expect(await has("body", "message_id", done)).toBe(false);
  expect(await has("body", "message_id", justDone)).toBe(true);
  expect(await has("body", "message_id", queued)).toBe(true);
  expect(await has("message", "id", done)).toBe(true);
});

test("parts that were written ahead for a message that never came go after a day", async () => {
  const { database, has } = await stored();
  const id = agedId("00000000-0000-7000-8000-000000000000" as MessageId, 30 * hour);
  const young = agedId("00000000-0000-7000-8000-000000000001" as MessageId, 2 * hour);
  await database.pool.query("select ensure_partitions(pm_now()::date - 3, 3)");
  await database.pool.query("insert into body values ($1, 1, 'x'), ($2, 1, 'x')", [id, young]);
  await purge(database.db, retention);
  expect(await has("body", "message_id", id)).toBe(false);
  expect(await has("body", "message_id", young)).toBe(true);
});

test("old days of messages go as partitions, but no day that still holds queued mail; the ledger stays", async () => {
  const { database, message, has } = await stored();
  const old = await message(40 * day, 39 * day);
  const stuck = await message(45 * day, null);
  const { partitions } = await purge(database.db, retention);
  expect(await has("message", "id", old)).toBe(false);
  expect(await has("message", "id", stuck)).toBe(true);
  expect(await has("body", "message_id", stuck)).toBe(true);
  expect(await has("usage_entry", "id", old)).toBe(true);
  expect(partitions.some((name) => name.startsWith("message_"))).toBe(true);
  expect(partitions.some((name) => name.startsWith("usage_entry"))).toBe(false);
});

test("a purge that was cut off in the middle of a day is finished by the next one", async () => {
  const { database, message, has } = await stored();
  const old = await message(40 * day, 39 * day);
  const { rows } = await database.pool.query(
    "select tableoid::regclass::text as name from recipient where message_id = $1",
    [old],
  );
  await database.pool.query(`drop table ${rows[0].name}`);
  await purge(database.db, retention);
  expect(await has("message", "id", old)).toBe(false);
});
