import { sql } from "kysely";
import { expect, test } from "vitest";
import type { MasterPrincipal, Operator, Principal, SubaccountPrincipal } from "../../src/accounts/principal.ts";
import { emit } from "../../src/events/emit.ts";
import { type EventFilter, listEvents, selectEvents } from "../../src/events/list.ts";
import { periodAt } from "../../src/metering/period.ts";
import { createRefusalRecorder } from "../../src/metering/refusals.ts";
import type { MasterId, MessageId, SubaccountId } from "../../src/platform/ids.ts";
import { newId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { acceptUnits } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { utcMonths } from "../support/submission.ts";

const operator: Operator = { kind: "operator", via: "cli" };
const masterOf = (masterId: MasterId): MasterPrincipal => ({ kind: "master", masterId, keyId: null, scopes: ["full"] });
const subOf = (masterId: MasterId, subaccountId: SubaccountId): SubaccountPrincipal => ({
  ...masterOf(masterId),
  kind: "subaccount",
  subaccountId,
});

async function happened() {
  const database = await testDatabase();
  const { db, clock, pool } = database;
  const { masterId } = await seedMaster(database);
  const subaccountId = await seedSubaccount(database, masterId, { monthlyLimit: 10 });
  const accepted = await acceptUnits(database, { masterId, subaccountId }, 8); // crosses 80 %
  const messageId = (accepted as { id: MessageId }).id;
  const at = clock.now();
  await emit(
    db,
    { type: "message.delivered", masterId, subaccountId, messageId, at, data: { recipient: "reader0@example.net" } },
    clock,
  );
  const recorder = createRefusalRecorder({ pool, clock, log: silentLog });
  const period = periodAt(utcMonths, clock.now());
  recorder.refused({ masterId, subaccountId, period, reason: "quota-subaccount", units: 5 });
  recorder.refused({ masterId, subaccountId, period, reason: "sender", units: 1 });
  await recorder[Symbol.asyncDispose]();
  await emit(db, { type: "statement.closed", masterId, at, data: {} }, clock);
  const list = (told: Partial<EventFilter> = {}) => listEvents(db, masterOf(masterId), { limit: 50, ...told });
  return { database, masterId, subaccountId, messageId, list };
}

test("what was written and what follows from other rows stand in one order, newest first", async () => {
  const { list, messageId, subaccountId } = await happened();
  const events = await list();
  expect(events.map((event) => event.type).toSorted()).toEqual([
    "message.accepted",
    "message.delivered",
    "message.refused",
    "quota.refused",
    "quota.threshold", // 80 %
    "quota.threshold", // the refusal
    "statement.closed",
  ]);
  expect(events.map((event) => event.id)).toEqual(
    events
      .map((event) => event.id)
      .toSorted()
      .toReversed(),
  );
  expect(events.find((event) => event.type === "message.accepted")).toMatchObject({
    messageId,
    subaccountId,
    data: { units: 8, from: "app@customer.example", subject: "Hello" },
  });
  expect(events.find((event) => event.type === "quota.refused")?.data).toEqual({
    reason: "quota-subaccount",
    messages: 1,
    units: 5,
    sample: { units: 5 },
  });
});

test("an instant in the data of an event is UTC with Z, as everywhere in the API", async () => {
  const { list } = await happened();
  const thresholds = await list({ type: "quota.threshold" });
  const start = periodAt(utcMonths, thresholds[0]!.at).start.toISOString();
  expect(thresholds.map(({ data }) => data.period_start)).toEqual([start, start]);
});

test("pages follow one another without a gap or a repetition", async () => {
  const { list } = await happened();
  const whole = await list();
  const paged = [];
  for (let page = await list({ limit: 2 }); ; ) {
    const shown = page.slice(0, 2);
    paged.push(...shown);
    if (page.length <= 2) break;
    page = await list({ limit: 2, before: shown.at(-1)!.id });
  }
  expect(paged).toEqual(whole);
});

test("events are filtered by type, message and subaccount", async () => {
  const { list, messageId, subaccountId } = await happened();
  expect((await list({ messageId })).map((e) => e.type).toSorted()).toEqual(["message.accepted", "message.delivered"]);
  expect(await list({ type: "quota.refused" })).toHaveLength(1);
  expect((await list({ subaccountId })).some((e) => e.type === "statement.closed")).toBe(false);
  expect(await list({ messageId, type: "message.bounced" })).toEqual([]);
});

test("no tenant sees another's events, and a subaccount none of its master's or its siblings'", async () => {
  const { database, masterId, subaccountId, list } = await happened();
  const { db } = database;
  const stranger = await seedMaster(database);
  const sibling = await seedSubaccount(database, masterId);
  expect(await listEvents(db, masterOf(stranger.masterId), { limit: 50 })).toEqual([]);
  expect(await listEvents(db, masterOf(stranger.masterId), { limit: 50, subaccountId })).toEqual([]);
  expect(await listEvents(db, subOf(masterId, sibling), { limit: 50 })).toEqual([]);
  expect(await listEvents(db, subOf(masterId, sibling), { limit: 50, subaccountId })).toEqual([]);
  const own = await listEvents(db, subOf(masterId, subaccountId), { limit: 50 });
  expect(own.map((e) => e.type)).not.toContain("statement.closed");
  expect(own).toHaveLength(6);
  expect(await listEvents(db, operator, { limit: 50 })).toEqual(await list());
});

test("a page reads about as many rows as it shows, however many there are", async () => {
  const { database, masterId, subaccountId } = await happened();
  const { db, clock } = database;
  const base = newId(clock).slice(0, 14);
  await sql`insert into event (id, type, master_id, subaccount_id, message_id, at, data)
    select (${base} || '7' || lpad(to_hex(i), 3, '0') || '-8' || substr(md5(i::text), 1, 3) || '-' || substr(md5(i::text), 4, 12))::uuid,
           'message.delivered', ${masterId}, ${subaccountId}, null, pm_now(), '{}' from generate_series(1, 4000) i`.execute(
    db,
  );
  await sql`analyze event`.execute(db);
  const asked: [Principal, EventFilter][] = [
    [operator, { limit: 10 }],
    [masterOf(masterId), { limit: 10 }],
    [masterOf(masterId), { limit: 10, type: "statement.closed" }],
    [masterOf(masterId), { limit: 10, subaccountId }],
    [subOf(masterId, subaccountId), { limit: 10 }],
  ];
  for (const [principal, filter] of asked) {
    const { rows } = await sql<{
      "QUERY PLAN": [{ Plan: Plan }];
    }>`explain (analyze, format json) ${selectEvents(principal, filter)}`.execute(db);
    expect(rowsRead(rows[0]!["QUERY PLAN"][0].Plan)).toBeLessThan(60);
  }
});

type Plan = { "Actual Rows": number; "Actual Loops": number; Plans?: Plan[] };
const rowsRead = (plan: Plan): number =>
  plan.Plans === undefined
    ? plan["Actual Rows"] * plan["Actual Loops"]
    : plan.Plans.reduce((sum, child) => sum + rowsRead(child), 0);
