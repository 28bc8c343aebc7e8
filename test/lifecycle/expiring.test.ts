/** Notices before an end date, and renewing. */
import { expect, test } from "vitest";
import { changeMaster } from "../../src/accounts/change-master.ts";
import { findSubaccount } from "../../src/accounts/find.ts";
import { createPlan } from "../../src/accounts/plans.ts";
import { addMonths, renewSubaccount } from "../../src/accounts/renew.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { tellExpiring } from "../../src/lifecycle/expiring.ts";
import { tellExpiringMasters } from "../../src/lifecycle/masters-expiring.ts";
import { insertMember } from "../../src/people/members.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { operator, tenants } from "../support/tenants.ts";

const config = {
  publicUrl: "https://relay.example",
  systemFrom: "postmeter@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: 3_600_000,
};
const DAY_MS = 86_400_000;

async function expiring(days: number) {
  const database = await testDatabase();
  const make = tenants(database);
  const master = await make.master();
  const expiresAt = new Date(database.clock.now().getTime() + days * DAY_MS);
  const { subaccount } = await make.subaccount(master, { name: "Corner", expiresAt, ownerEmail: "owner@shop.example" });
  return { database, master, id: subaccount.id, expiresAt };
}

const tell = ({ db, clock }: TestDatabase) => tellExpiring(db, { clock, config });

/** Who was told what, in order. */
async function mails({ pool }: TestDatabase): Promise<string[]> {
  const { rows } = await pool.query(
    `select r.address, convert_from(b.bytes, 'UTF8') as text from message m join recipient r on r.message_id = m.id
       join body b on b.message_id = m.id where m.kind = 'system' order by m.id`,
  );
  return rows.map(({ address, text }) => `${address}: ${/^Subject: (.*)\r\n/m.exec(text)?.[1]}`);
}

test("the master alone is told 14, 7 and 1 days before, once each, however often and by how many the job is run", async () => {
  const { database } = await expiring(15);
  expect(await tell(database)).toBe(0);
  for (const [ahead, days] of [
    [2, 14],
    [9, 7],
    [14.5, 1],
  ] as const) {
    await using then = await later(database, ahead * DAY_MS);
    const told = await Promise.all([tell(then), tell(then), tell(then)]);
    expect([days, told.reduce((sum, n) => sum + n, 0)]).toEqual([days, 1]);
    expect(await tell(then)).toBe(0);
  }
  expect(await mails(database)).toEqual([
    "ops@acme.example: Corner expires in 14 days or less",
    "ops@acme.example: Corner expires in 7 days or less",
    "ops@acme.example: Corner expires within a day",
  ]);
  const { rows } = await database.pool.query(
    "select data->>'days' as days from event where type = 'subaccount.expiring'",
  );
  expect(rows.map(({ days }) => days)).toEqual(["14", "7", "1"]);
});

test("after a time without jobs only the nearest notice is told", async () => {
  const { database } = await expiring(5);
  expect(await tell(database)).toBe(1);
  expect(await mails(database)).toEqual(["ops@acme.example: Corner expires in 7 days or less"]);
});

test("a notice whose transaction fails is told by the next run", async () => {
  const { database } = await expiring(5);
  const broken = { clock: database.clock, config: { ...config, systemFrom: "\r\n" } };
  await database.pool.query("alter table queue rename to queue_away");
  await expect(tellExpiring(database.db, broken)).rejects.toThrow("could not be told");
  await database.pool.query("alter table queue_away rename to queue");
  expect((await database.pool.query("select from expiry_notice")).rowCount).toBe(0);
  expect(await tell(database)).toBe(1);
});

test("renewing calls off what was not told, and the new date has its own notices", async () => {
  const { database, master, id, expiresAt } = await expiring(8);
  expect(await tell(database)).toBe(1);
  const { db, clock } = database;
  const after = await renewSubaccount(db, master.principal, id, { months: 1 }, {}, clock);
  expect(after.expiresAt).toEqual(addMonths(expiresAt, 1));
  await using old = await later(database, 7.5 * DAY_MS);
  expect(await tell(old)).toBe(0);
  await using next = await later(database, after.expiresAt!.getTime() - clock.now().getTime() - DAY_MS / 2);
  expect(await tell(next)).toBe(1);
});

test("a closed one is not told of", async () => {
  const { database, master, id } = await expiring(3);
  await transitionSubaccount(database.db, master.principal, id, "close", {}, database.clock);
  expect(await tell(database)).toBe(0);
});

test("renewing an expired, closed account reopens it, by its plan's cycle, and it sends again", async () => {
  const { database, master, id } = await expiring(1);
  const { db } = database;
  const yearly = { name: "Yearly", monthlyLimit: 50, features: {}, price: null, cycle: "yearly" } as const;
  await createPlan(db, master.principal, yearly, database.clock);
  await using then = await later(database, 2 * DAY_MS);
  const account = { masterId: master.master.id, subaccountId: id };
  expect(await acceptUnits(then, account, 1)).toEqual({ kind: "closed" });
  await transitionSubaccount(then.db, master.principal, id, "close", {}, then.clock);
  const renewed = await renewSubaccount(then.db, master.principal, id, { plan: "Yearly" }, {}, then.clock);
  expect(renewed).toMatchObject({ state: "active", plan: "Yearly", monthlyLimit: 50 });
  expect(renewed.expiresAt!.getTime() - addMonths(then.clock.now(), 12).getTime()).toBeLessThan(60_000);
  expect(await acceptUnits(then, account, 50)).toMatchObject({ kind: "accepted" });
});

test("a renewal that says nothing of its end, or ends in the past, is refused whole", async () => {
  const { database, master, id } = await expiring(1);
  const { db, clock } = database;
  await transitionSubaccount(db, master.principal, id, "close", {}, clock);
  const renew = (wanted: Parameters<typeof renewSubaccount>[3]) =>
    renewSubaccount(db, master.principal, id, wanted, {}, clock);
  await expect(renew({})).rejects.toMatchObject({ details: [{ pointer: "/expires_at" }] });
  await expect(renew({ expiresAt: new Date(0) })).rejects.toMatchObject({ details: [{ pointer: "/expires_at" }] });
  await expect(renew({ months: 1, plan: "None" })).rejects.toMatchObject({ details: [{ pointer: "/plan" }] });
  expect(await findSubaccount(db, master.principal, id, clock)).toMatchObject({ state: "closed" });
});

test.each([
  ["2026-01-31T10:00:00Z", 1, "2026-02-28T10:00:00Z"],
  ["2028-02-29T00:00:00Z", 12, "2029-02-28T00:00:00Z"],
  ["2026-11-15T08:30:00Z", 3, "2027-02-15T08:30:00Z"],
])("%s and %i months are %s", (from, months, to) => {
  expect(addMonths(new Date(from), months)).toEqual(new Date(to));
});

test("a master's own end date is told to it and to the operator's people who can move it, once each", async () => {
  const database = await testDatabase();
  const { db, clock, pool } = database;
  const make = tenants(database);
  const expiresAt = new Date(clock.now().getTime() + 15 * DAY_MS);
  const emails = [
    "ops@acme.example",
    { email: "pay@acme.example", topics: ["billing"] },
    { email: "no@acme.example", topics: ["abuse"] },
  ];
  const { master } = await make.master({ notificationEmails: emails as never });
  await make.master({ name: "Endless" });
  await changeMaster(db, operator, master.id, { expiresAt }, {}, clock);
  const platform = { masterId: null, subaccountId: null };
  for (const role of ["owner", "admin", "viewer"] as const) {
    await insertMember(db, platform, { email: `${role}@relay.example`, role }, clock);
  }
  await pool.query("update member set accepted_at = pm_now() where role <> 'admin'"); // who is invited only has no say yet
  const told = ({ db: at, clock: then }: TestDatabase) => tellExpiringMasters(at, { clock: then, config });
  expect(await told(database)).toBe(0);
  for (const ahead of [2, 9, 14.5]) {
    await using then = await later(database, ahead * DAY_MS);
    const all = await Promise.all([told(then), told(then), told(then)]);
    expect(all.reduce((sum, n) => sum + n, 0)).toBe(1);
  }
  const expected = ["in 14 days or less", "in 7 days or less", "within a day"].flatMap((when) =>
    ["ops@acme.example", "pay@acme.example", "owner@relay.example"].map((to) => `${to}: Acme Hosting expires ${when}`),
  );
  expect((await mails(database)).sort()).toEqual(expected.sort());
  const { rows } = await pool.query(
    "select subaccount_id, data->>'days' as days from event where type = 'master.expiring'",
  );
  expect(rows.map(({ days }) => days)).toEqual(["14", "7", "1"]);
  // Another date has notices of its own, and none are told of a closed one.
  await changeMaster(db, operator, master.id, { expiresAt: new Date(clock.now().getTime() + 3 * DAY_MS) }, {}, clock);
  expect(await told(database)).toBe(1);
  await changeMaster(db, operator, master.id, { expiresAt: new Date(clock.now().getTime() + 4 * DAY_MS) }, {}, clock);
  await pool.query("update master set state = 'closed' where id = $1", [master.id]);
  expect(await told(database)).toBe(0);
});
