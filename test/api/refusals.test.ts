/** The log of refusals, for both sides. */
import { expect, test } from "vitest";
import { periodAt } from "../../src/metering/period.ts";
import { createRefusalRecorder, type RefusalReason } from "../../src/metering/refusals.ts";
import { parseId } from "../../src/platform/ids.ts";
import { silentLog } from "../support/log.ts";
import { utcMonths } from "../support/submission.ts";
import { type Child, newMaster, newSubaccount, OPERATOR_KEY, openDoor, type Tenant } from "./client.ts";

const door = await openDoor();
const { call, database } = door;
const master = await newMaster(door);
const { key } = master;
const shop = await newSubaccount(door, master);
const sibling = await newSubaccount(door, master);
const other = await newMaster(door);
const stranger = await newSubaccount(door, other);

type Noted = Readonly<{ at: string; reason: RefusalReason; times?: number; from?: string; detail?: string }>;

async function note({ masterId }: Tenant, { id }: Child, { at, reason, times = 1, ...sample }: Noted): Promise<void> {
  const clock = { offsetMs: 0, now: () => new Date(at) };
  await using recorder = createRefusalRecorder({ pool: database.pool, clock, log: silentLog, flushMs: 60_000 });
  const who = { masterId: parseId("mas", masterId)!, subaccountId: parseId("sub", id)! };
  const period = periodAt(utcMonths, clock.now());
  for (let i = 0; i < times; i++) recorder.refused({ ...who, period, reason, units: 2, sample });
}

const detail = "451 4.7.1 Rate limit reached, retry in 17 seconds";
await note(master, shop, { at: "2026-11-22T09:30:10Z", reason: "rate", times: 3, from: "app@shop.example", detail });
await note(master, shop, { at: "2026-11-22T09:31:50Z", reason: "quota-master", from: '=cmd|"x"' });
await note(master, sibling, { at: "2026-11-22T09:32:00Z", reason: "size", from: "SIBLING@x.example" });
await note(other, stranger, { at: "2026-11-22T09:33:00Z", reason: "rate", from: "STRANGER@x.example" });

const list = async (query = "", as = key) => (await call("GET", `/v1/refusals${query}`, { key: as })).body.data;
const reasons = async (query = "", as = key) => (await list(query, as)).map((one: { reason: string }) => one.reason);

test("they are counted by minute and reason, newest first, with the first message as a sample", async () => {
  const found = await list();
  expect(found.map((one: { reason: string }) => one.reason)).toEqual(["size", "quota-master", "rate"]);
  expect(found[2]).toEqual({
    subaccount_id: shop.id,
    minute: "2026-11-22T09:30:00.000Z",
    reason: "rate",
    messages: 3,
    units: 6,
    sample: { units: 2, from: "app@shop.example", detail },
  });
});

test("a subaccount sees its own, a master its subaccounts', the operator all, and whose they are", async () => {
  expect(await reasons("", shop.key)).toEqual(["quota-master", "rate"]);
  expect(await reasons(`?subaccount_id=${sibling.id}`, shop.key)).toEqual([]);
  expect(await reasons(`?subaccount_id=${stranger.id}`)).toEqual([]);
  const all = await list("", OPERATOR_KEY);
  expect(all).toHaveLength(4);
  expect(all[0].master_id).toBe(other.masterId);
  expect(await reasons(`?master_id=${master.masterId}`, OPERATOR_KEY)).toHaveLength(3);
});

test("filters by subaccount, reason and time", async () => {
  expect(await reasons(`?subaccount_id=${shop.id}`)).toEqual(["quota-master", "rate"]);
  expect(await reasons("?reason=rate,size")).toEqual(["size", "rate"]);
  expect(await reasons("?since=2026-11-22T09:31:00Z")).toEqual(["size", "quota-master"]);
  expect(await reasons("?until=2026-11-22T09:31:00Z")).toEqual(["rate"]);
  expect(await reasons("?since=2026-11-22T09:31:00Z&until=2026-11-22T09:32:00Z")).toEqual(["quota-master"]);
  expect(await reasons("?since=2026-11-22T10:31:00%2B01:00&until=2026-11-22T09:32:00Z")).toEqual(["quota-master"]);
});

test("pages go on where the one before ended", async () => {
  const first = await call("GET", "/v1/refusals?limit=2", { key });
  expect(first.body).toMatchObject({ has_more: true });
  const second = await call("GET", `/v1/refusals?limit=2&cursor=${first.body.next_cursor}`, { key });
  expect(second.body).toMatchObject({ has_more: false, next_cursor: null });
  expect([...first.body.data, ...second.body.data]).toEqual(await list());
});

test("as a table: the same rows, no text of others a formula, no pages", async () => {
  const csv = { headers: { Accept: "text/csv" } };
  const answer = await call("GET", "/v1/refusals?reason=quota-master", { key, ...csv });
  expect(answer.headers.get("content-disposition")).toMatch(/filename="refusals-\d{4}-\d\d-\d\d\.csv"/);
  expect(answer.text).toBe(
    `minute,subaccount_id,reason,messages,units,from,recipient,client_address,detail\r\n2026-11-22T09:31:00.000Z,${shop.id},quota-master,1,2,"'=cmd|""x""",,,\r\n`,
  );
  expect((await call("GET", "/v1/refusals", { key: shop.key, ...csv })).text).not.toMatch(/SIBLING|STRANGER/);
  expect((await call("GET", "/v1/refusals", { key: OPERATOR_KEY, ...csv })).text).toContain(master.masterId);
  expect((await call("GET", "/v1/refusals?limit=2", { key, ...csv })).status).toBe(422);
});

test("a table longer than a page is whole, and in order", async () => {
  const rich = await newMaster(door);
  const child = await newSubaccount(door, rich);
  await database.pool.query(
    `insert into refusal select $1, m, 'rate', $2, '2026-11-01Z', 1, 1, '{}', new_event_id(m)
       from generate_series('2026-11-20Z'::timestamptz, '2026-11-20Z'::timestamptz + interval '2499 minutes', '1 minute') m`,
    [parseId("sub", child.id), parseId("mas", rich.masterId)],
  );
  const { text } = await call("GET", "/v1/refusals", { key: rich.key, headers: { Accept: "text/csv" } });
  const minutes = text
    .split("\r\n")
    .slice(1, -1)
    .map((row) => row.split(",")[0]!);
  expect(minutes).toHaveLength(2500);
  expect(minutes).toEqual([...new Set(minutes)].sort().reverse());
});

test.each(["?reason=weather", "?since=yesterday", "?subaccount_id=sub_1", "?week=1"])("%s is 422", async (query) => {
  expect((await call("GET", `/v1/refusals${query}`, { key })).status).toBe(422);
});
