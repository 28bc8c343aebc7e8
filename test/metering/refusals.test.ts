import { expect, test } from "vitest";
import { forgetRefusals } from "../../src/metering/forget-refusals.ts";
import { periodAt } from "../../src/metering/period.ts";
import { createRefusalRecorder, type Refusal } from "../../src/metering/refusals.ts";
import type { MasterId, SubaccountId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { utcMonths } from "../support/submission.ts";

async function recorded(told: { maxCounters?: number; flushMs?: number; monthlyLimit?: number } = {}) {
  const { monthlyLimit = 100, ...options } = told;
  const database = await testDatabase();
  const { masterId } = await seedMaster(database);
  const subaccountId = await seedSubaccount(database, masterId, { monthlyLimit });
  const recorder = createRefusalRecorder({
    pool: database.pool,
    clock: database.clock,
    log: silentLog,
    flushMs: 60_000,
    ...options,
  });
  return { database, masterId, subaccountId, recorder, refusal: refusalOf(database, masterId, subaccountId) };
}

function refusalOf({ clock }: TestDatabase, masterId: MasterId, subaccountId: SubaccountId) {
  const period = periodAt(utcMonths, clock.now());
  return (told: Partial<Refusal> = {}): Refusal => ({
    masterId,
    subaccountId,
    period,
    reason: "quota-subaccount",
    units: 1,
    ...told,
  });
}

const alerts = async ({ pool }: TestDatabase) =>
  (
    await pool.query<{ account_id: string; level: number; reason: string }>(
      "select account_id, level, reason from alert order by version",
    )
  ).rows;

test("refusals of a minute and reason are one row with the first one's sample", async () => {
  const { database, recorder, refusal } = await recorded();
  const sample = { from: "a@customer.example", recipient: "b@example.net", clientAddress: "192.0.2.7" };
  recorder.refused(refusal({ reason: "sender", units: 2, sample }));
  await recorder.flush();
  recorder.refused(refusal({ reason: "sender", units: 3 }));
  await recorder.flush();
  const { rows } = await database.pool.query("select reason, messages, units, sample from refusal");
  expect(rows).toEqual([
    {
      reason: "sender",
      messages: 2,
      units: 5,
      sample: { units: 2, from: "a@customer.example", recipient: "b@example.net", client_address: "192.0.2.7" },
    },
  ]);
});

test("what could not be written waits for the next flush and is counted once", async () => {
  const { database, recorder, refusal } = await recorded();
  recorder.refused(refusal({ reason: "size" }));
  await database.pool.query("alter table refusal rename to refusal_gone");
  await expect(recorder.flush()).rejects.toThrow();
  recorder.refused(refusal({ reason: "size" }));
  await database.pool.query("alter table refusal_gone rename to refusal");
  await recorder.flush();
  await recorder.flush();
  const { rows } = await database.pool.query("select messages from refusal");
  expect(rows).toEqual([{ messages: 2 }]);
});

test("memory is bounded: beyond the most counters, known ones count on and new ones are dropped", async () => {
  const { database, masterId, recorder, refusal } = await recorded({ maxCounters: 1 });
  const other = await seedSubaccount(database, masterId);
  recorder.refused(refusal());
  recorder.refused(refusal({ subaccountId: other }));
  recorder.refused(refusal());
  await recorder.flush();
  const { rows } = await database.pool.query("select messages from refusal");
  expect(rows).toEqual([{ messages: 2 }]);
});

test("text from outside can't make a flush fail", async () => {
  const { database, recorder, refusal } = await recorded();
  recorder.refused(refusal({ reason: "content", sample: { from: "a\0b\ud800", detail: "x".repeat(5000) } }));
  await recorder.flush();
  const { rows } = await database.pool.query<{ sample: { from: string; detail: string } }>(
    "select sample from refusal",
  );
  expect(rows[0]?.sample).toMatchObject({ from: "ab\ufffd", detail: "x".repeat(320) });
});

test("closing writes what still waits", async () => {
  const { database, recorder, refusal } = await recorded();
  recorder.refused(refusal());
  await recorder[Symbol.asyncDispose]();
  expect((await database.pool.query("select from refusal")).rowCount).toBe(1);
});

test("the first quota refusal of a period alerts like 100 percent, once, however often it is refused", async () => {
  const { database, subaccountId, recorder, refusal } = await recorded();
  for (let i = 0; i < 3; i += 1) {
    recorder.refused(refusal());
    await recorder.flush();
  }
  expect(await alerts(database)).toEqual([{ account_id: subaccountId, level: 100, reason: "refused" }]);
});

test("two processes that see the first refusal at once alert once", async () => {
  const { database, masterId, subaccountId, recorder, refusal } = await recorded();
  const second = createRefusalRecorder({ pool: database.pool, clock: database.clock, log: silentLog });
  await acceptUnits(database, { masterId, subaccountId }, 1);
  recorder.refused(refusal());
  second.refused(refusal());
  await Promise.all([recorder.flush(), second.flush()]);
  await second[Symbol.asyncDispose]();
  expect(await alerts(database)).toHaveLength(1);
  expect((await database.pool.query("select messages from refusal")).rows).toEqual([{ messages: 2 }]);
});

test("a subaccount that may not send at all alerts when it is refused", async () => {
  const { database, recorder, refusal } = await recorded({ monthlyLimit: 0 });
  recorder.refused(refusal());
  await recorder.flush();
  expect(await alerts(database)).toMatchObject([{ level: 100 }]);
});

test("a refusal by the master's cap alerts for the master; other reasons alert nobody", async () => {
  const { database, masterId, recorder, refusal } = await recorded();
  recorder.refused(refusal({ reason: "quota-master" }));
  recorder.refused(refusal({ reason: "sender" }));
  recorder.refused(refusal({ reason: "account" }));
  await recorder.flush();
  expect(await alerts(database)).toMatchObject([{ account_id: masterId, level: 100 }]);
});

test("after a raise of the limit the next refusal alerts again; after a mere renaming it does not", async () => {
  const { database, subaccountId, recorder, refusal } = await recorded();
  recorder.refused(refusal());
  await recorder.flush();
  await database.pool.query("update subaccount set name = 'Renamed' where id = $1", [subaccountId]);
  recorder.refused(refusal());
  await recorder.flush();
  expect(await alerts(database)).toHaveLength(1);
  await database.pool.query("update subaccount set monthly_limit = 200 where id = $1", [subaccountId]);
  recorder.refused(refusal());
  await recorder.flush();
  expect(await alerts(database)).toHaveLength(2);
});

test("an alert that failed is made by a later flush, without another refusal", async () => {
  const { database, recorder, refusal } = await recorded();
  await database.pool.query("alter function alert_refusal rename to alert_refusal_gone");
  recorder.refused(refusal());
  await expect(recorder.flush()).rejects.toThrow();
  await database.pool.query("alter function alert_refusal_gone rename to alert_refusal");
  await recorder.flush();
  expect(await alerts(database)).toHaveLength(1);
  expect((await database.pool.query("select messages from refusal")).rows).toEqual([{ messages: 1 }]);
});

test("refusals are forgotten after their retention, but not within two months", async () => {
  const { database, recorder, refusal } = await recorded();
  recorder.refused(refusal());
  await recorder.flush();
  await using soon = await later(database, 61 * 86_400_000);
  expect(await forgetRefusals(soon.db, 1000)).toBe(0);
  await using late = await later(database, 63 * 86_400_000);
  expect(await forgetRefusals(late.db, 100 * 86_400_000)).toBe(0);
  expect(await forgetRefusals(late.db, 1000)).toBe(1);
});
