/** What a master that was closed still owes: its statements reach to the period in which it was closed, used or not. */
import { expect, test } from "vitest";
import { transitionMaster, transitionSubaccount } from "../../src/accounts/transition.ts";
import { closeDue } from "../../src/metering/close-due.ts";
import { listStatements, readStatement } from "../../src/metering/read-statement.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { choosePrice } from "../../src/prices/choose-price.ts";
import { createRateCard } from "../../src/prices/rate-cards.ts";
import { stoppedClock } from "../support/stopped-clock.ts";
import { operator, tenants } from "../support/tenants.ts";

const world = await stoppedClock("2026-11-01T00:00:00Z");
const { db, clock } = world;
const make = tenants({ db, clock });
const terms = { currency: "EUR", priceMinor: 9000, includedUnits: null, overagePer1000: "0", ceilingMinor: null };

let names = 0;
async function sold(cycle: "month" | "year") {
  await world.set("2026-11-01T00:00:00Z");
  const master = await make.master();
  names += 1;
  const card = await createRateCard(db, operator, { name: `Card ${names}`, ...terms, cycle }, clock);
  const payer = { master: master.master.id };
  await choosePrice(db, operator, payer, { rateCardId: card.id, from: "now" }, {}, clock);
  return master;
}

type Master = Awaited<ReturnType<typeof sold>>;

const change = (of: Master, action: "close" | "reopen") =>
  transitionMaster(db, operator, of.master.id, action, {}, clock);

/** What all its statements ask, oldest first. */
async function asked({ principal }: Master) {
  await closeDue(db, { clock, graceMs: 3_600_000 });
  const all = await listStatements(db, principal, { limit: 100 }, clock);
  return all.toReversed().map(({ period, totals }) => [period.start.toISOString().slice(0, 10), totals[0]?.minor ?? 0]);
}

test("a master that is closed within the hour in which its statement waits is asked for that period", async () => {
  const master = await sold("month");
  await world.set("2026-12-01T00:30:00Z");
  expect(await asked(master)).toEqual([]);
  await change(master, "close");
  await world.set("2026-12-01T01:00:00Z");
  expect(await asked(master)).toEqual([["2026-11-01", 9000]]);
  await world.set("2027-03-01T01:00:00Z");
  const december = Math.round((9000 * 1800) / (31 * 86_400));
  expect(await asked(master)).toEqual([
    ["2026-11-01", 9000],
    ["2026-12-01", december],
  ]);
  expect((await verifyLedger(db, clock)).differences).toEqual([]);
});

test("of a period in which it was closed it is asked the part until then, though it used nothing", async () => {
  const master = await sold("month");
  await world.set("2026-11-16T00:00:00Z");
  await change(master, "close");
  await world.set("2027-03-01T01:00:00Z");
  expect(await asked(master)).toEqual([["2026-11-01", 4500]]);
});

test("the rest of a year is given back on the last statement, also at the very end of a period", async () => {
  const master = await sold("year");
  await world.set("2026-12-01T00:00:00Z");
  await change(master, "close");
  await world.set("2027-03-01T01:00:00Z");
  const rest = Math.round((9000 * 30) / 365) - 9000;
  expect(await asked(master)).toEqual([
    ["2026-11-01", 9000],
    ["2026-12-01", rest],
  ]);
});

test("an end that is committed in the next period is on that one's statement, of a master and of a subaccount", async () => {
  const master = await sold("year");
  const { principal } = master;
  await createRateCard(db, principal, { name: "Default", ...terms, cycle: "year", isDefault: true }, clock);
  const { id } = (await make.subaccount(master)).subaccount;
  await world.set("2026-11-30T23:59:59Z");
  await db.transaction().execute(async (trx) => {
    await transitionSubaccount(trx, principal, id, "close", {}, clock);
    await transitionMaster(trx, operator, master.master.id, "close", {}, clock);
    await world.set("2026-12-01T00:00:00Z");
  });
  await world.set("2027-03-01T01:00:00Z");
  const rest = Math.round((9000 * 30) / 365) - 9000;
  expect(await asked(master)).toEqual([
    ["2026-11-01", 9000],
    ["2026-12-01", rest],
  ]);
  const { lines } = await readStatement(db, principal, "2026-12-01", clock);
  expect(lines.find(({ subaccountId }) => subaccountId === id)?.price?.amounts).toMatchObject([{ totalMinor: rest }]);
  expect((await verifyLedger(db, clock)).differences).toEqual([]);
});

test("reopened, its statements go on where they ended", async () => {
  const master = await sold("month");
  await change(master, "close");
  await world.set("2027-02-01T00:00:00Z");
  await asked(master);
  await change(master, "reopen");
  await world.set("2027-03-01T01:00:00Z");
  expect((await asked(master)).map(([start]) => start)).toEqual([
    "2026-11-01",
    "2026-12-01",
    "2027-01-01",
    "2027-02-01",
  ]);
});

test("control: one whose end is not known gets none after its last use", async () => {
  const master = await sold("month");
  await world.set("2026-11-16T00:00:00Z");
  await change(master, "close");
  await world.pool.query("update master set closed_at = null where id = $1", [master.master.id]);
  await world.set("2027-03-01T01:00:00Z");
  expect(await asked(master)).toEqual([]);
});
