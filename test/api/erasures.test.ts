/** Erasing and purging by HTTP: who may, what is answered, what is shown of it. */
import { expect, test } from "vitest";
import { COUNTED_TO, countContents } from "../../src/lifecycle/contents.ts";
import { finishErasure } from "../../src/lifecycle/erase.ts";
import { parseId } from "../../src/platform/ids.ts";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call, database } = door;
const master = await newMaster(door);
const other = await newMaster(door, { name: "Other" });
const operator = { key: OPERATOR_KEY };

async function closedOne() {
  const shop = await newSubaccount(door, master, { owner_email: "anna@corner.example" });
  expect((await call("POST", `/v1/subaccounts/${shop.id}/close`, { key: master.key })).status).toBe(200);
  const path = `/v1/subaccounts/${shop.id}`;
  return { shop, id: parseId("sub", shop.id)!, erase: `${path}/erase`, purge: `${path}/purge`, path };
}
const finish = (shown: string) => finishErasure(database.db, parseId("era", shown)!, database.clock);

test("a master erases its closed one, once at a time, and sees how far it is; nobody else does", async () => {
  const { erase, path, id } = await closedOne();
  const begun = await call("POST", erase, { key: master.key });
  expect([begun.status, begun.body]).toMatchObject([
    202,
    { id: expect.stringMatching(/^era_/), purge: false, state: "running", total: null, done: 0, finished_at: null },
  ]);
  expect(door.published).toContain(id);
  expect((await call("POST", erase, { key: master.key })).body.id).toBe(begun.body.id);
  const show = (key: string) => call("GET", `/v1/erasures/${begun.body.id}`, { key });
  expect([(await show(other.key)).status, (await show(master.key)).body.state]).toEqual([404, "running"]);
  await finish(begun.body.id);
  const { body } = await show(master.key);
  expect(body).toMatchObject({ state: "done", done: body.total, finished_at: expect.stringMatching(/Z$/) });
  const account = await call("GET", path, { key: master.key });
  expect(account.body).toMatchObject({ owner_email: null, erased_at: expect.any(String), purged_at: null });
  expect((await call("POST", `${path}/reopen`, { key: master.key })).status).toBe(409);
});

test("what is open, another's, or asked by who may not is refused", async () => {
  const open = await newSubaccount(door, master);
  const key = await call("POST", "/v1/keys", {
    key: master.key,
    body: { name: "own", scopes: ["full"], subaccount_id: open.id },
  });
  const erase = (who: string) => call("POST", `/v1/subaccounts/${open.id}/erase`, { key: who });
  expect((await erase(master.key)).status).toBe(409);
  expect((await erase(other.key)).status).toBe(404);
  expect((await erase(key.body.key)).status).toBe(403);
  const { purge } = await closedOne();
  expect((await call("POST", purge, { key: master.key })).status).toBe(403);
  const word = await call("POST", purge, { ...operator, body: { dry_run: "yes" } });
  expect(word.status).toBe(422);
});

test("the operator sees what a purge would take, which takes nothing; then it is begun, and its job counts", async () => {
  const { purge, path } = await closedOne();
  const dry = await call("POST", purge, { ...operator, body: { dry_run: true } });
  expect([dry.status, dry.body.erasure]).toEqual([200, null]);
  expect(dry.body.contents).toMatchObject({ messages: 0, members: 1, audit_entries: expect.any(Number) });
  expect((await call("GET", path, { key: master.key })).body.erased_at).toBeNull();
  const begun = await call("POST", purge, operator);
  expect([begun.status, begun.body]).toMatchObject([202, { contents: null, erasure: { purge: true, total: null } }]);
  await finish(begun.body.erasure.id);
  expect((await call("GET", path, operator)).body).toMatchObject({ purged_at: expect.any(String) });
  // After it there is nothing but what tells of it.
  const again = await call("POST", purge, { ...operator, body: { dry_run: true } });
  expect(again.body.contents).toMatchObject({ messages: 0, members: 0, domains: 0 });
});

test("nobody counts further than so many rows of a kind, however many there are", async () => {
  const { id } = await closedOne();
  await database.pool.query(
    `insert into event (id, type, master_id, subaccount_id, at, data)
     select new_event_id(pm_now()), 'message.delivered', $1, $2, pm_now(), '{}' from generate_series(1, 12)`,
    [parseId("mas", master.masterId), id],
  );
  expect(await countContents(database.db, id, 10)).toMatchObject({ events: 10, messages: 0 });
  expect((await countContents(database.db, id)).events).toBeGreaterThanOrEqual(12);
  expect(COUNTED_TO).toBeLessThanOrEqual(100_000);
});
