/** Which period a date names, also after the calendar has changed. */
import { expect, test } from "vitest";
import { changeMaster } from "../../src/accounts/change-master.ts";
import { closeDue } from "../../src/metering/close-due.ts";
import { readMasterUsage } from "../../src/metering/usage.ts";
import { stoppedClock } from "../support/stopped-clock.ts";
import { operator, tenants } from "../support/tenants.ts";

const world = await stoppedClock("2026-08-10T00:00:00Z");
const { db, clock } = world;

test("a period that nobody used is found where its statement is, whatever calendar rules since", async () => {
  const { master, principal } = await tenants(world).master();
  await changeMaster(db, operator, master.id, { anchorDay: 15 }, {}, clock);
  await world.set("2026-12-20T00:00:00Z");
  const read = (date: string) => readMasterUsage(db, principal, undefined, date, clock);
  const period = (start: string, end: string) => ({ period: { start: new Date(start), end: new Date(end) } });
  await closeDue(db, { clock, graceMs: 0 });
  await changeMaster(db, operator, master.id, { anchorDay: 20 }, {}, clock);
  expect(await read("2026-08-01")).toMatchObject(period("2026-08-01T00:00:00Z", "2026-09-01T00:00:00Z"));
  expect(await read("2026-09-01")).toMatchObject(period("2026-09-01T00:00:00Z", "2026-09-15T00:00:00Z"));
  await expect(read("2026-10-01")).rejects.toMatchObject({ kind: "invalid" });
});
