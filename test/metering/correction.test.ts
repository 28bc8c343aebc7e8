import { expect, test } from "vitest";
import { changeMaster } from "../../src/accounts/change-master.ts";
import type { MasterPrincipal, Operator } from "../../src/accounts/principal.ts";
import { closeMaster } from "../../src/metering/close.ts";
import { closeDue } from "../../src/metering/close-due.ts";
import { addCorrection } from "../../src/metering/correction.ts";
import { readDailyUsage } from "../../src/metering/daily.ts";
import { periodAt } from "../../src/metering/period.ts";
import { readStatement } from "../../src/metering/read-statement.ts";
import { billedUnits } from "../../src/metering/statement.ts";
import { readMasterUsage, readUsage } from "../../src/metering/usage.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import type { MessageId } from "../../src/platform/ids.ts";
import { newId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { utcMonths } from "../support/submission.ts";
import { unguarded } from "../support/tampering.ts";

const operator: Operator = { kind: "operator", via: "cli" };

async function charged() {
  const database = await testDatabase();
  const { masterId } = await seedMaster(database, { allowance: 100 });
  const subaccountId = await seedSubaccount(database, masterId, { monthlyLimit: 10 });
  const accepted = await acceptUnits(database, { masterId, subaccountId }, 10);
  const messageId = (accepted as { id: MessageId }).id;
  const correct = (units: number | undefined, note = "sent twice by our fault") =>
    addCorrection(database.db, operator, { messageId, units, note }, database.clock);
  const usage = () => readUsage(database.db, operator, subaccountId, undefined, database.clock);
  return { database, masterId, subaccountId, messageId, correct, usage };
}

test("a correction changes what is billed, and gives no room to send more than the limit", async () => {
  const { database, masterId, subaccountId, correct, usage } = await charged();
  await correct(-4);
  expect(await usage()).toMatchObject({ used: 10, remaining: 0, corrections: -4 });
  expect(await readMasterUsage(database.db, operator, masterId, undefined, database.clock)).toMatchObject({
    used: 10,
    corrections: -4,
  });
  expect(await acceptUnits(database, { masterId, subaccountId }, 1)).toMatchObject({ kind: "over" });
  const statement = await readStatement(database.db, operator, "current", database.clock, masterId);
  expect(statement).toMatchObject({ units: 10, corrections: -4 });
  expect(billedUnits(statement)).toBe(6);
  const { days } = await readDailyUsage(database.db, operator, subaccountId, undefined, database.clock);
  expect(days.at(-1)).toMatchObject({ units: 10, messages: 1, corrections: -4 });
});

test("of a message no more is taken back than was charged, and no more charged again than was taken back", async () => {
  const { correct } = await charged();
  await expect(correct(-11)).rejects.toMatchObject({ kind: "invalid", details: [{ pointer: "/units" }] });
  await expect(correct(1)).rejects.toMatchObject({ kind: "invalid" });
  await correct(-7);
  await expect(correct(-4)).rejects.toThrow("3 of 10 units are charged");
  await correct(5);
  await expect(correct(3)).rejects.toThrow("2 units have been taken back");
  await correct(-8);
});

test("two corrections at once don't take back more than was charged", async () => {
  const { correct, usage } = await charged();
  const results = await Promise.allSettled([correct(-6), correct(-6), correct(-6)]);
  expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
  expect(await usage()).toMatchObject({ corrections: -6 });
});

test("a correction names a charged message, a number and a reason, else nothing is written", async () => {
  const { database, correct, usage } = await charged();
  for (const units of [0, 1.5, Number.NaN]) await expect(correct(units)).rejects.toMatchObject({ kind: "invalid" });
  await expect(correct(-1, " ")).rejects.toMatchObject({ details: [{ pointer: "/note" }] });
  const unknown = newId<MessageId>(database.clock);
  const { db, clock } = database;
  await expect(addCorrection(db, operator, { messageId: unknown, units: -1, note: "x" }, clock)).rejects.toMatchObject({
    kind: "not-found",
  });
  const correction = await correct(-1);
  const again = { messageId: correction.id as unknown as MessageId, units: -1, note: "a correction of a correction" };
  await expect(addCorrection(db, operator, again, clock)).rejects.toMatchObject({ kind: "not-found" });
  expect(await usage()).toMatchObject({ corrections: -1 });
});

test("without a number all that is still charged is taken back, once", async () => {
  const { correct, usage } = await charged();
  await correct(-3);
  expect(await correct(undefined)).toMatchObject({ units: -7 });
  expect(await usage()).toMatchObject({ used: 10, corrections: -10 });
  await expect(correct(undefined)).rejects.toMatchObject({ kind: "conflict" });
  await correct(4);
  expect(await correct(undefined)).toMatchObject({ units: -4 });
});

test("two that take all back at once take it back once", async () => {
  const { correct, usage } = await charged();
  const results = await Promise.allSettled([correct(undefined), correct(undefined), correct(undefined)]);
  expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
  expect(await usage()).toMatchObject({ corrections: -10 });
});

test("only the operator corrects, and when it acts for a master only what is charged to that", async () => {
  const { database, masterId, messageId, usage } = await charged();
  const { db, clock } = database;
  const wanted = { messageId, units: -1, note: "ours" };
  const master: MasterPrincipal = { kind: "master", masterId, keyId: null, scopes: ["full"] };
  await expect(addCorrection(db, master, wanted, clock)).rejects.toMatchObject({ kind: "forbidden" });
  const other = { ...master, masterId: (await seedMaster(database)).masterId, operator: true } as const;
  await expect(addCorrection(db, other, wanted, clock)).rejects.toMatchObject({ kind: "not-found" });
  expect(await usage()).toMatchObject({ corrections: 0 });
  expect(await addCorrection(db, { ...master, operator: true }, wanted, clock)).toMatchObject({
    actor: { actor_kind: "operator" },
  });
});

test("who corrected what, and why, is in the audit log, in the ledger and an event", async () => {
  const { database, subaccountId, correct } = await charged();
  await correct(-2);
  const { rows } = await database.pool.query("select actor_kind, action, after from audit_entry");
  expect(rows).toEqual([
    {
      actor_kind: "cli",
      action: "ledger.corrected",
      after: { message_id: expect.stringMatching(/^msg_/), units: -2, note: "sent twice by our fault" },
    },
  ]);
  const kept = await database.pool.query(
    "select actor_kind, actor_id, note from usage_entry where kind = 'correction'",
  );
  expect(kept.rows).toEqual([{ actor_kind: "cli", actor_id: null, note: "sent twice by our fault" }]);
  const events = await database.pool.query("select subaccount_id, data from event where type = 'usage.corrected'");
  expect(events.rows).toEqual([
    {
      subaccount_id: subaccountId,
      data: { correction_id: expect.any(String), units: -2, period_start: expect.any(String) },
    },
  ]);
});

test("a message of a closed period is corrected in the running one; the closed statement stays as it is", async () => {
  const { database, masterId, messageId } = await charged();
  const { end, start } = periodAt(utcMonths, database.clock.now());
  await using after = await later(database, end.getTime() - database.clock.now().getTime() + 120_000);
  await closeMaster(after.db, masterId, after);
  const correction = await addCorrection(after.db, operator, { messageId, units: -3, note: "complaint" }, after.clock);
  expect(correction.period.start).toEqual(end);
  const read = (name: string) => readStatement(after.db, operator, name, after.clock, masterId);
  expect(await read(start.toISOString().slice(0, 10))).toMatchObject({ units: 10, corrections: 0 });
  const current = await read("current");
  expect(current).toMatchObject({ units: 0, corrections: -3 });
  expect(billedUnits(current)).toBe(-3);
  // That period has no mail yet, and so no counters.
  expect(await verifyLedger(after.db, after.clock)).toMatchObject({ ok: true, differences: [] });
  await unguarded(database);
  await database.pool.query(
    "update usage_entry set period_start = period_start + interval '1 month' where kind = 'correction'",
  );
  expect((await verifyLedger(after.db, after.clock)).differences).toContainEqual(
    expect.objectContaining({ check: "entries", detail: "its correction entry lies outside of its period" }),
  );
});

test("a statement waits for a correction that is under way, and no later one gets into the closed period", async () => {
  const { database, masterId, subaccountId, messageId } = await charged();
  const { start, end } = periodAt(utcMonths, database.clock.now());
  const holder = await database.pool.connect();
  await holder.query("begin");
  await holder.query("select pg_advisory_xact_lock(hashtextextended('correction ' || $1::text, 0))", [masterId]);
  await holder.query("insert into usage_entry select $1, $2, $3, $4, -2, 'correction', $5, 'late', pm_now()", [
    newId(database.clock),
    masterId,
    subaccountId,
    start,
    messageId,
  ]);
  await using after = await later(database, end.getTime() - database.clock.now().getTime() + 120_000);
  const closing = closeMaster(after.db, masterId, after);
  for (let waiting = 0; waiting === 0; ) {
    const { rowCount } = await database.pool.query("select from pg_locks where locktype = 'advisory' and not granted");
    waiting = rowCount ?? 0;
  }
  await holder.query("commit");
  holder.release();
  await closing;
  const statement = await readStatement(after.db, operator, start.toISOString().slice(0, 10), after.clock, masterId);
  expect(statement.corrections).toBe(-2);
});

const DAY_MS = 86_400_000;

test("a charge of a master that has closed since is taken back on a statement of its own", async () => {
  const { database, masterId, messageId } = await charged();
  await database.pool.query("update master set state = 'closed' where id = $1", [masterId]);
  await using after = await later(database, 62 * DAY_MS);
  expect(await closeMaster(after.db, masterId, after)).toMatchObject([{ units: 10 }]);
  await addCorrection(after.db, operator, { messageId, units: -4, note: "late" }, after.clock);
  await using end = await later(after, 31 * DAY_MS);
  const closed = await closeDue(end.db, { ...end, graceMs: 0 });
  const { rows } = await end.pool.query(
    "select sum(corrections)::int as corrections, count(*)::int as n from statement",
  );
  expect(rows).toEqual([{ corrections: -4, n: 1 + closed }]);
});

test("a correction alone keeps the bounds of its period until that is closed, whatever calendars come after", async () => {
  const { database, masterId, messageId } = await charged();
  const change = async (at: TestDatabase, anchorDay: number) =>
    void (await changeMaster(at.db, operator, masterId, { anchorDay }, {}, at.clock));
  const { end } = periodAt(utcMonths, database.clock.now());
  const next = periodAt(utcMonths, end);
  const untilMs = (at: Date, days: number) => at.getTime() + days * DAY_MS - database.clock.now().getTime();
  await using idle = await later(database, untilMs(next.start, 25));
  await addCorrection(idle.db, operator, { messageId, units: -4, note: "in a month without mail" }, idle.clock);
  await change(idle, 10);
  await using once = await later(database, untilMs(next.end, 20)); // that of day 10 rules
  await change(once, 20);
  await using after = await later(database, untilMs(next.end, 90));
  await closeMaster(after.db, masterId, after);
  const { rows } = await after.pool.query(
    "select period_start, period_end from statement where master_id = $1 and corrections = -4",
    [masterId],
  );
  expect(rows).toEqual([{ period_start: next.start, period_end: next.end }]);
});
