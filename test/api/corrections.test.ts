/** Corrections at the door: made by the operator, seen by the master whose bill they change, and by nobody else. */
import { expect, test } from "vitest";
import { closeMaster } from "../../src/metering/close.ts";
import { addCorrection } from "../../src/metering/correction.ts";
import { periodAt } from "../../src/metering/period.ts";
import { formatId, type MessageId, parseId } from "../../src/platform/ids.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { utcMonths } from "../support/submission.ts";
import { unguarded } from "../support/tampering.ts";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call, database } = door;
const path = "/v1/corrections";
const period = periodAt(utcMonths, database.clock.now());
const date = (at: Date) => at.toISOString().slice(0, 10);

async function charged(units = 10) {
  const master = await newMaster(door);
  const shop = await newSubaccount(door, master);
  const account = { masterId: parseId("mas", master.masterId)!, subaccountId: parseId("sub", shop.id)! };
  const send = async () => ((await acceptUnits(database, account, units)) as { id: MessageId }).id;
  const messageId = await send();
  const body = { message_id: formatId("msg", messageId), units: -3, note: "delivered twice" };
  const correct = (more = {}, headers = {}) =>
    call("POST", path, { key: OPERATOR_KEY, body: { ...body, ...more }, headers });
  return { master, shop, ...account, messageId, send, body, correct };
}

test("a correction is made once for an idempotency key, and changes the preview of the bill, not what may be sent", async () => {
  const { master, shop, body, correct } = await charged();
  const headers = { "Idempotency-Key": "one" };
  const [made, again] = [await correct({}, headers), await correct({}, headers)];
  expect(made.status, made.text).toBe(201);
  expect(again.body).toEqual(made.body);
  expect(made.body).toMatchObject({
    ...body,
    id: expect.stringMatching(/^ent_/),
    master_id: master.masterId,
    subaccount_id: shop.id,
    period_start: period.start.toISOString(),
    actor: { kind: "operator", id: null },
  });
  const { body: usage } = await call("GET", "/v1/usage", { key: shop.key });
  expect(usage).toMatchObject({ used: 10, remaining: 90, corrections: -3 });
  const { body: preview } = await call("GET", "/v1/statements/current", { key: master.key });
  expect(preview).toMatchObject({ units: 10, corrections: -3, billed: 7 });
  const { body: listed } = await call("GET", path, { key: master.key });
  expect(listed.data).toEqual([made.body]);
  const { body: events } = await call("GET", "/v1/events?type=usage.corrected", { key: shop.key });
  expect(events.data).toMatchObject([{ message_id: body.message_id, data: { units: -3 } }]);
});

test("without units all that is still charged is taken back; what can't be is named", async () => {
  const { correct } = await charged();
  await correct();
  expect((await correct({ units: undefined })).body).toMatchObject({ units: -7 });
  expect((await correct({ units: undefined })).status).toBe(409);
  expect((await correct({ units: 11 })).body.errors).toMatchObject([{ pointer: "/units" }]);
  for (const bad of [
    { units: 0 },
    { units: 1.5 },
    { units: "3" },
    { note: "" },
    { note: undefined },
    { note: "x".repeat(501) },
  ])
    expect((await correct(bad)).status, JSON.stringify(bad)).toBe(422);
  expect((await correct({ message_id: "msg_01kb2m5xj7e1fr0x4m4f6a0z3q" })).status).toBe(404);
});

test("masters and subaccounts make none; a master sees its own, another master's are never shown, a subaccount sees no list", async () => {
  const { master, shop, body, correct } = await charged();
  const { body: made } = await correct();
  for (const { key } of [master, shop]) expect((await call("POST", path, { key, body })).status).toBe(403);
  const other = await charged();
  await other.correct();
  const ids = async (query: string, key: string) =>
    (await call("GET", `${path}${query}`, { key })).body.data.map(({ id }: { id: string }) => id);
  expect(await ids("", master.key)).toEqual([made.id]);
  expect(await ids(`?master_id=${master.masterId}`, other.master.key)).toEqual([]);
  expect(await ids(`?subaccount_id=${shop.id}`, other.master.key)).toEqual([]);
  expect(await ids(`?master_id=${master.masterId}`, OPERATOR_KEY)).toEqual([made.id]);
  expect(await ids(`?subaccount_id=${shop.id}`, OPERATOR_KEY)).toEqual([made.id]);
  expect((await ids("", OPERATOR_KEY)).length).toBeGreaterThanOrEqual(2);
  expect((await call("GET", path, { key: shop.key })).status).toBe(403);
  const strange = `${path}?subaccount_id=${shop.id}&period=${date(period.start)}`;
  expect((await call("GET", strange, { key: other.master.key })).status).toBe(404);
  // The operator who acts for a master corrects what is charged to that one alone.
  const acting = (account: string) => call("POST", path, { key: OPERATOR_KEY, account, body });
  expect((await acting(other.master.masterId)).status).toBe(404);
  expect((await acting(master.masterId)).status).toBe(201);
});

test("a list in pages has each once, newest first, and of one period when that is asked for", async () => {
  const { master, masterId, messageId, correct } = await charged();
  const made: string[] = [];
  for (let i = 0; i < 5; i += 1) made.unshift((await correct({ units: -1 })).body.id);
  const seen: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const { body } = await call("GET", `${path}?limit=2${cursor && `&cursor=${cursor}`}`, { key: master.key });
    seen.push(...body.data.map(({ id }: { id: string }) => id));
    cursor = body.next_cursor;
  }
  expect(seen).toEqual(made);
  await using after = await later(database, period.end.getTime() - database.clock.now().getTime() + 1000);
  await closeMaster(after.db, masterId, after);
  const late = await addCorrection(
    after.db,
    { kind: "operator", via: "cli" },
    { messageId, note: "late" },
    after.clock,
  );
  const of = async (at: Date, key = master.key, more = "") => {
    const { body } = await call("GET", `${path}?period=${date(at)}${more}`, { key });
    return body.data?.map(({ id }: { id: string }) => id);
  };
  expect(await of(period.start)).toEqual(made);
  expect(await of(period.end)).toEqual([formatId("ent", late.id)]);
  expect(await of(period.end, OPERATOR_KEY, `&master_id=${master.masterId}`)).toEqual([formatId("ent", late.id)]);
  const unnamed = await call("GET", `${path}?period=${date(period.start)}`, { key: OPERATOR_KEY });
  expect(unnamed.body.errors).toMatchObject([{ pointer: "/period" }]);
});

test("what a version before has corrected is listed without who did it", async () => {
  const { master, correct } = await charged();
  await correct();
  await unguarded(database);
  await database.pool.query("update usage_entry set actor_kind = null, actor_id = null");
  expect((await call("GET", path, { key: master.key })).body.data).toMatchObject([{ units: -3, actor: null }]);
});
