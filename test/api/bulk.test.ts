/** Many subaccounts changed at once: the plan, the run, and what has changed in between. */
import { beforeEach, describe, expect, test } from "vitest";
import { newMaster, newSubaccount, openDoor, type Tenant } from "./client.ts";
import { runs } from "./runs.ts";

const door = await openDoor();
const { call, database } = door;

let master: Tenant;
let key: string;
let work: ReturnType<typeof runs>;
let ids: string[];

beforeEach(async () => {
  master = await newMaster(door, { allowance: 1000 });
  key = master.key;
  work = runs(door, key);
  ids = [];
  for (const [name, limit, plan] of [
    ["A", 100, "gold"],
    ["B", 201, "gold"],
    ["C", null, "tin"],
  ] as const) {
    ids.push((await newSubaccount(door, master, { name, monthly_limit: limit, plan })).id);
  }
});

const bulk = (body: unknown, by = key, headers: Record<string, string> = {}) =>
  call("POST", "/v1/subaccounts/bulk", { key: by, body, headers });
const limits = async () => {
  const { body } = await call("GET", "/v1/subaccounts?sort=name", { key });
  return body.data.map((one: { monthly_limit: number }) => one.monthly_limit);
};

describe("a dry run", () => {
  test("shows each before and after, with sums against the allowance, and changes nothing", async () => {
    const { status, body } = await bulk({ filter: {}, change: { monthly_limit: { percent: 120 } }, dry_run: true });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      state: "previewed",
      total: 3,
      planned: { create: 0, change: 2, same: 0, error: 1 },
      totals: { limits_before: null, limits_after: null, allowance: 1000 },
    });
    expect(body.rows).toMatchObject([
      { subaccount_id: ids[0], before: { monthly_limit: 100 }, after: { monthly_limit: 120 }, errors: [] },
      { subaccount_id: ids[1], before: { monthly_limit: 201 }, after: { monthly_limit: 241 } },
      { subaccount_id: ids[2], action: "error", errors: [{ column: "monthly_limit" }] },
    ]);
    expect(await limits()).toEqual([100, 201, null]);
    const gold = await bulk({ filter: { plan: "gold" }, change: { monthly_limit: { add: -50 } }, dry_run: true });
    expect(gold.body).toMatchObject({ total: 2, totals: { limits_before: 301, limits_after: 201 } });
    expect((await work.rows(gold.body.id, "?limit=1"))[0]).toMatchObject({ n: 1, after: { monthly_limit: 50 } });
  });

  test.each([
    [{ monthly_limit: { add: -101 } }, "It would be -1."],
    [{ monthly_limit: 1001 }, "The limit can't be above the master's allowance of 1000."],
    [{ monthly_limit: { add: 901 } }, "The limit can't be above the master's allowance of 1000."],
    [{ archive: true }, "It is active: it can't archive."],
    [{ reopen: true }, undefined],
    [{ enable: true }, undefined],
  ])("of %j tells what is wrong", async (change, detail) => {
    const { body } = await bulk({ ids: [ids[0]], change, dry_run: true });
    const [row] = body.rows;
    expect(row).toMatchObject(detail === undefined ? { action: "same" } : { action: "error", errors: [{ detail }] });
  });

  test("tells who finds no room any more under strict allocation", async () => {
    await call("PATCH", `/v1/subaccounts/${ids[2]}`, { key, body: { monthly_limit: 99 } });
    await call("PATCH", "/v1/account", { key, body: { strict_allocation: true } });
    const change = { monthly_limit: { add: 250 } };
    const { body } = await bulk({ ids, change, dry_run: true });
    expect(body.rows.map(({ action }: { action: string }) => action)).toEqual(["change", "change", "error"]);
    expect(body.rows[2].errors[0].detail).toBe("Only 100 units of the allowance are still to give.");
    const run = await bulk({ ids, change });
    await work.finish(run.body.id);
    expect(await work.show(run.body.id)).toMatchObject({ changed: 2, failed: 1 });
    expect(await limits()).toEqual([350, 451, 99]);
  });

  test("of one that is another's, or is not there, says no more than that", async () => {
    const other = await newMaster(door, { name: "Other" });
    const theirs = await newSubaccount(door, other, { name: "THEIRS" });
    const { body, text } = await bulk({ ids: [ids[0], theirs.id], change: { plan: "x" }, dry_run: true });
    expect(body.planned).toMatchObject({ change: 1, error: 1 });
    expect(text).not.toContain("THEIRS");
    expect((await call("GET", `/v1/bulk_changes/${body.id}`, { key: other.key })).status).toBe(404);
    expect((await call("POST", `/v1/bulk_changes/${body.id}/start`, { key: other.key })).status).toBe(404);
  });
});

describe("a run", () => {
  test("changes each once, audits each, and tells the gate", async () => {
    const change = { monthly_limit: { percent: 150 }, region: "EU", disable: true, public_message: "Please pay" };
    const { status, body } = await bulk({ filter: { plan: "gold" }, change });
    expect([status, body.state]).toEqual([202, "running"]);
    await work.finish(body.id);
    expect(await work.show(body.id)).toMatchObject({ state: "done", done: 2, changed: 2, failed: 0 });
    const { body: one } = await call("GET", `/v1/subaccounts/${ids[1]}`, { key });
    expect(one).toMatchObject({ monthly_limit: 302, region: "EU", state: "disabled", public_message: "Please pay" });
    const { body: audit } = await call("GET", `/v1/audit?target=${ids[1]}`, { key });
    const actions = audit.data.map(({ action }: { action: string }) => action);
    expect(actions.slice(0, 3).sort()).toEqual(["quota.set", "subaccount.changed", "subaccount.disabled"]);
    expect(door.published.length).toBeGreaterThan(0);
    expect((await call("GET", `/v1/audit?target=${body.id}`, { key })).body.data).toHaveLength(1);
  });

  test("skips what was changed since the preview, and tells so", async () => {
    const { body } = await bulk({ ids: ids.slice(0, 2), change: { monthly_limit: { add: 10 } }, dry_run: true });
    await call("PATCH", `/v1/subaccounts/${ids[0]}`, { key, body: { monthly_limit: 5 } });
    await call("POST", `/v1/bulk_changes/${body.id}/start`, { key });
    await call("POST", `/v1/bulk_changes/${body.id}/start`, { key });
    await work.finish(body.id);
    expect(await work.show(body.id)).toMatchObject({ changed: 1, skipped: 1 });
    expect(await limits()).toEqual([5, 211, null]);
    expect(await work.rows(body.id, "?wrong=true")).toMatchObject([
      { subaccount_id: ids[0], outcome: "skipped", errors: [{ detail: "It was changed since the plan was made." }] },
    ]);
  });

  test("that is worked on by many at once adds to each limit once", async () => {
    const { body } = await bulk({ ids: ids.slice(0, 2), change: { monthly_limit: { add: 7 } } });
    await Promise.all([1, 2, 3, 4].map(() => work.finish(body.id)));
    await work.finish(body.id);
    expect(await limits()).toEqual([107, 208, null]);
    expect(await work.show(body.id)).toMatchObject({ done: 2, changed: 2 });
  });

  test("asked for twice with one Idempotency-Key is one run", async () => {
    const headers = { "Idempotency-Key": "twice" };
    const ask = { ids: [ids[0]], change: { monthly_limit: { add: 1 } } };
    const [first, second] = [await bulk(ask, key, headers), await bulk(ask, key, headers)];
    expect([second.status, second.body.id]).toEqual([202, first.body.id]);
    await work.finish(first.body.id);
    expect((await limits())[0]).toBe(101);
  });

  test("control: without the lock on the run an item would be done twice", async () => {
    const { body } = await bulk({ ids: [ids[0]], change: { monthly_limit: { add: 1 } } });
    await work.finish(body.id);
    await database.pool.query("update bulk_run set done = 0, state = 'running' where id = $1", [work.idOf(body.id)]);
    await work.finish(body.id);
    // Its version stands before the change: even so it is skipped.
    expect((await limits())[0]).toBe(101);
    expect(await work.show(body.id)).toMatchObject({ skipped: 1 });
  });
});

test.each([
  [{ change: { plan: "x" } }, "/filter"],
  [{ filter: {}, ids: ["sub_01kb2m5xj7e1fr0x4m4f6a0z3q"], change: { plan: "x" } }, "/filter"],
  [{ filter: { nothing: 1 }, change: { plan: "x" } }, "/filter/nothing"],
  [{ filter: {}, change: {} }, "/change"],
  [{ filter: {}, change: { name: "x" } }, "/change/name"],
  [{ filter: {}, change: { slug: "x" } }, "/change/slug"],
  [{ filter: {}, change: { disable: true, enable: true } }, "/change"],
  [{ filter: {}, change: { disable: false } }, "/change/disable"],
  [{ filter: {}, change: { monthly_limit: { add: 1, percent: 1 } } }, "/change/monthly_limit"],
  [{ filter: {}, change: { monthly_limit: 2 ** 53 } }, "/change/monthly_limit"],
  [{ filter: {}, change: { monthly_limit: { add: 2 ** 53 } } }, "/change/monthly_limit/add"],
  [{ ids: [], change: { plan: "x" } }, "/ids"],
])("%j is refused at %s", async (body, pointer) => {
  const answer = await bulk(body);
  expect(answer.status, answer.text).toBe(422);
  expect(answer.body.errors[0].pointer).toBe(pointer);
});

test("a search that finds nobody is no run", async () => {
  const answer = await bulk({ filter: { plan: "none" }, change: { plan: "x" } });
  expect([answer.status, answer.body.detail]).toEqual([422, "No subaccount is found so."]);
  const { rows } = await database.pool.query(
    "select 1 from bulk_run r join master m on m.id = r.master_id where r.state = 'receiving'",
  );
  expect(rows).toEqual([]);
});
