/** Plans, their versions, and when they take over. */
import { expect, test } from "vitest";
import { changeSubaccount } from "../../src/accounts/change-subaccount.ts";
import { createSubaccount } from "../../src/accounts/create-subaccount.ts";
import { findSubaccount } from "../../src/accounts/find.ts";
import type { PlanTerms } from "../../src/accounts/plan-fields.ts";
import { changePlan, createPlan, listPlans, listPlanVersions, withdrawPlan } from "../../src/accounts/plans.ts";
import { cancelNextPlan, switchPlan } from "../../src/accounts/switch-plan.ts";
import { takeNextPlans } from "../../src/accounts/take-next-plan.ts";
import { createTemplate, deleteTemplate } from "../../src/accounts/templates.ts";
import { listAudit } from "../../src/audit/list.ts";
import { periodAt } from "../../src/metering/period.ts";
import { readUsage } from "../../src/metering/usage.ts";
import { addTopUp } from "../../src/quota/top-up.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { mutateFunction } from "../support/mutant.ts";
import { type TestMaster, tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, clock } = database;
const make = tenants({ db, clock });
const acme = await make.master();

const terms = (limit: PlanTerms["monthlyLimit"], features = {}): PlanTerms => ({
  monthlyLimit: limit,
  features,
  price: null,
  cycle: "monthly",
});
const plan = (of: TestMaster, name: string, limit: PlanTerms["monthlyLimit"], features = {}) =>
  createPlan(db, of.principal, { name, ...terms(limit, features) }, clock);

test("a plan gives limit and features, and what is given apart wins", async () => {
  await plan(acme, "Starter", 500, { webhooks: true });
  const { subaccount } = await make.subaccount(acme, { plan: "Starter", monthlyLimit: undefined });
  expect(subaccount).toMatchObject({
    plan: "Starter",
    planVersion: 1,
    monthlyLimit: 500,
    features: { webhooks: true },
  });
  const own = await make.subaccount(acme, { plan: "Starter", monthlyLimit: 7, features: {} });
  expect(own.subaccount).toMatchObject({ planVersion: 1, monthlyLimit: 7, features: {} });
});

test("a limit must come from somewhere", async () => {
  await plan(acme, "Custom", "custom");
  for (const label of [undefined, "a label of its own", "Custom"]) {
    await expect(make.subaccount(acme, { plan: label, monthlyLimit: undefined })).rejects.toMatchObject({
      kind: "invalid",
      details: [{ pointer: "/monthly_limit" }],
    });
  }
  const { subaccount } = await make.subaccount(acme, { plan: "a label of its own", monthlyLimit: 3 });
  expect(subaccount).toMatchObject({ plan: "a label of its own", planVersion: null });
});

test("new terms are a new version, and subaccounts stay on theirs until they are changed", async () => {
  const made = await plan(acme, "Growing", 100);
  const { subaccount } = await make.subaccount(acme, { plan: "Growing", monthlyLimit: undefined });
  const after = await changePlan(db, acme.principal, made.id, { monthlyLimit: 200 }, {}, clock);
  expect(after.n).toBe(2);
  expect(await changePlan(db, acme.principal, made.id, { monthlyLimit: 200 }, {}, clock)).toMatchObject({ n: 2 });
  const same = await findSubaccount(db, acme.principal, subaccount.id, clock);
  expect(same).toMatchObject({ planVersion: 1, monthlyLimit: 100 });
  const moved = await switchPlan(db, acme.principal, same.id, { plan: "Growing", when: "now" }, {}, clock);
  expect(moved).toMatchObject({ planVersion: 2, monthlyLimit: 200 });
  const versions = await listPlanVersions(db, acme.principal, made.id);
  expect(versions.map(({ n, subaccounts }) => [n, subaccounts])).toEqual([
    [2, 1],
    [1, 0],
  ]);
});

test("a withdrawn plan is given to nobody, kept by who has it, and its name is free again", async () => {
  const made = await plan(acme, "Old", 10);
  const { subaccount } = await make.subaccount(acme, { plan: "Old", monthlyLimit: undefined });
  await withdrawPlan(db, acme.principal, made.id, clock);
  expect((await listPlans(db, acme.principal, { limit: 100 })).map(({ name }) => name)).not.toContain("Old");
  await expect(switchPlan(db, acme.principal, subaccount.id, { plan: "Old", when: "now" }, {}, clock)).rejects.toThrow(
    "no such plan",
  );
  await plan(acme, "Old", 20);
  expect(await findSubaccount(db, acme.principal, subaccount.id, clock)).toMatchObject({ planVersion: 1 });
});

test("another master's plans are none", async () => {
  const other = await make.master();
  const theirs = await plan(other, "Theirs", 10);
  await expect(changePlan(db, acme.principal, theirs.id, { monthlyLimit: 1 }, {}, clock)).rejects.toMatchObject({
    kind: "not-found",
  });
  const { subaccount } = await make.subaccount(acme);
  const wanted = { plan: "Theirs", when: "now" } as const;
  await expect(switchPlan(db, acme.principal, subaccount.id, wanted, {}, clock)).rejects.toMatchObject({
    details: [{ pointer: "/plan" }],
  });
});

test("changing the label to a plan's name is changing the plan; to another one it is a label again", async () => {
  await plan(acme, "By name", 42, { api: true });
  const { subaccount } = await make.subaccount(acme);
  const named = await changeSubaccount(db, acme.principal, subaccount.id, { plan: "By name" }, {}, clock);
  expect(named).toMatchObject({ planVersion: 1, monthlyLimit: 42, features: { api: true } });
  const labelled = await changeSubaccount(db, acme.principal, subaccount.id, { plan: "VIP" }, {}, clock);
  expect(labelled).toMatchObject({ plan: "VIP", planVersion: null, monthlyLimit: 42 });
});

test("a downgrade below what is used is allowed and stops sending", async () => {
  await plan(acme, "Tiny", 5);
  const { subaccount } = await make.subaccount(acme);
  const account = { masterId: acme.master.id, subaccountId: subaccount.id };
  expect(await acceptUnits(database, account, 10)).toMatchObject({ kind: "accepted" });
  await switchPlan(db, acme.principal, subaccount.id, { plan: "Tiny", when: "now" }, {}, clock);
  expect(await acceptUnits(database, account, 1)).toMatchObject({ kind: "over", used: 10, cap: 5 });
});

/** A subaccount of 10 that is to have 30 with the next period. */
async function waiting(world: TestDatabase) {
  const tenant = tenants(world);
  const master = await tenant.master();
  await createPlan(world.db, master.principal, { name: "Next", ...terms(30) }, world.clock);
  const { subaccount } = await tenant.subaccount(master, { monthlyLimit: 10 });
  const wanted = { plan: "Next", when: "next_period" } as const;
  await switchPlan(world.db, master.principal, subaccount.id, wanted, {}, world.clock);
  return { master, id: subaccount.id, account: { masterId: master.master.id, subaccountId: subaccount.id } };
}

test("the next plan rules from the first instant of its period, whether or not a job has run", async () => {
  const world = await testDatabase();
  const { master, id, account } = await waiting(world);
  const { end } = periodAt({ anchorDay: 1, timeZone: "UTC" }, clock.now());
  expect(await findSubaccount(world.db, master.principal, id, clock)).toMatchObject({
    plan: null,
    monthlyLimit: 10,
    nextPlan: { name: "Next", version: 1, monthlyLimit: 30, at: end },
  });
  expect(await acceptUnits(world, account, 11)).toMatchObject({ kind: "over", cap: 10 });
  await using next = await later(world, end.getTime() - clock.now().getTime() + 60_000);
  expect(await acceptUnits(next, account, 31)).toMatchObject({ kind: "over", cap: 30 });
  expect(await acceptUnits(next, account, 30)).toMatchObject({ kind: "accepted" });
  const usage = await readUsage(next.db, master.principal, id, undefined, next.clock);
  expect(usage).toMatchObject({ limit: 30, used: 30 });
  expect(await takeNextPlans(next.db, next.clock)).toBe(1);
  expect(await takeNextPlans(next.db, next.clock)).toBe(0);
  expect(await findSubaccount(next.db, master.principal, id, next.clock)).toMatchObject({
    plan: "Next",
    planVersion: 1,
    monthlyLimit: 30,
    nextPlan: null,
  });
  const entries = await listAudit(world.db, master.principal, { action: "subaccount.plan_changed", limit: 10 });
  expect(entries.map(({ actor }) => actor.kind)).toEqual(["system", "master"]);
});

test("control: without the limit of the next plan in the terms, the new period starts with the old one", async () => {
  const world = await testDatabase();
  const { account } = await waiting(world);
  await mutateFunction(world, "monthly_limit_at", { from: "s.next_plan_at <= p_start", to: "false" });
  await using next = await later(world, 32 * 86_400_000);
  expect(await acceptUnits(next, account, 11)).toMatchObject({ kind: "over", cap: 10 });
});

test("a top-up, or a change, between the period's start and the job keeps the next plan", async () => {
  const world = await testDatabase();
  const { master, id, account } = await waiting(world);
  await using next = await later(world, 32 * 86_400_000);
  await acceptUnits(next, account, 1);
  const subaccount = await findSubaccount(next.db, master.principal, id, next.clock);
  await addTopUp(next.db, master.principal, subaccount, { units: 5 }, next.clock);
  expect(await acceptUnits(next, account, 35)).toMatchObject({ kind: "over", cap: 35 });
  const changed = await changeSubaccount(next.db, master.principal, id, { notes: "called" }, {}, next.clock);
  expect(changed).toMatchObject({ plan: "Next", monthlyLimit: 30, nextPlan: null, notes: "called" });
});

test("a plan that was called off does not take over", async () => {
  const world = await testDatabase();
  const { master, id, account } = await waiting(world);
  expect(await cancelNextPlan(world.db, master.principal, id, clock)).toMatchObject({ nextPlan: null });
  await using next = await later(world, 32 * 86_400_000);
  expect(await takeNextPlans(next.db, next.clock)).toBe(0);
  expect(await acceptUnits(next, account, 11)).toMatchObject({ kind: "over", cap: 10 });
});

test("strict allocation keeps room for the plan that is to take over", async () => {
  const strict = await make.master({ allowance: 100, strictAllocation: true });
  await plan(strict, "Sixty", 60);
  const { subaccount } = await make.subaccount(strict, { monthlyLimit: 20 });
  await switchPlan(db, strict.principal, subaccount.id, { plan: "Sixty", when: "next_period" }, {}, clock);
  await expect(make.subaccount(strict, { monthlyLimit: 41 })).rejects.toMatchObject({ kind: "conflict" });
  await make.subaccount(strict, { monthlyLimit: 40 });
});

test("a template gives settings, what is given wins, and it holds nothing of a person", async () => {
  const { subaccount } = await make.subaccount(acme, {
    monthlyLimit: 77,
    language: "de",
    timeZone: "Europe/Berlin",
    alertThresholds: [50, 100],
    rateLimits: { minute: 20, hour: 300 },
    reserve: 7,
    dailyCapRamp: [10, 20],
    enforce2fa: true,
    features: { archiving: true },
    ownerEmail: "owner@shop.example",
    notes: "secret",
    externalId: "x-1",
    metadata: { secret: 1 },
  });
  const template = await createTemplate(
    db,
    acme.principal,
    { name: "Like this one", fromSubaccount: subaccount.id, settings: { region: "north" } },
    clock,
  );
  expect(template.settings).toEqual({
    monthly_limit: 77,
    plan: null,
    features: { archiving: true },
    alert_thresholds: [50, 100],
    rate_limits: { minute: 20, hour: 300 },
    reserve: 7,
    daily_cap_ramp: [10, 20],
    enforce_2fa: true,
    language: "de",
    time_zone: "Europe/Berlin",
    region: "north",
    billing_profile: null,
  });
  const input = { name: "From it", template: template.id, language: "fr", rateLimits: { hour: 100 } };
  const made = await createSubaccount(db, acme.principal, input, make.keyring, clock);
  expect(made.subaccount).toMatchObject({
    monthlyLimit: 77,
    language: "fr",
    region: "north",
    alertThresholds: [50, 100],
    rateLimits: { hour: 100 },
    reserve: 7,
    dailyCapRamp: [10, 20],
    enforce2fa: true,
    features: { archiving: true },
    ownerEmail: null,
    notes: null,
  });
  const other = await make.master();
  await expect(createSubaccount(db, other.principal, input, make.keyring, clock)).rejects.toMatchObject({
    details: [{ pointer: "/template" }],
  });
  await deleteTemplate(db, acme.principal, template.id, clock);
});

test("what a template says of short limits holds at the door, and one without a ramp leaves it to the master", async () => {
  const starting = await make.master({ newSubaccountDailyCap: { ramp: [30], from_limit: 0 } });
  const settings = { monthlyLimit: 50, rateLimits: { minute: 5, hour: null } };
  const template = await createTemplate(db, starting.principal, { name: "Slow", settings }, clock);
  expect(template.settings).toEqual({ monthly_limit: 50, rate_limits: { minute: 5 } });
  const slow = await make.subaccount(starting, { monthlyLimit: undefined, template: template.id } as never);
  expect(slow.subaccount).toMatchObject({ rateLimits: { minute: 5 }, dailyCapRamp: [30], reserve: null });
  const account = { masterId: starting.master.id, subaccountId: slow.subaccount.id };
  expect(await acceptUnits(database, account, 6)).toMatchObject({ kind: "rate" });
  expect(await acceptUnits(database, account, 5)).toMatchObject({ kind: "accepted" });
  const free = await make.subaccount(starting, { dailyCapRamp: null });
  const like = { name: "Like it", fromSubaccount: free.subaccount.id };
  expect((await createTemplate(db, starting.principal, like, clock)).settings).not.toHaveProperty("daily_cap_ramp");
});
