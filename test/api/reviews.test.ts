/** An operator's review: asked, held, answered, decided; each step heard of by whom the policy names. */
import { simpleParser } from "mailparser";
import { beforeEach, describe, expect, test } from "vitest";
import { parseId } from "../../src/platform/ids.ts";
import { mailReview } from "../../src/reviews/letters.ts";
import { type Child, newMaster, newSubaccount, OPERATOR_KEY, openDoor, type Tenant } from "./client.ts";

const door = await openDoor();
const { call, database } = door;
const config = {
  publicUrl: "https://relay.example",
  systemFrom: "postmeter@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: 3_600_000,
};

let master: Tenant;
let shop: Child;

beforeEach(async () => {
  master = await newMaster(door);
  shop = await newSubaccount(door, master, { name: "Corner Shop", owner_email: "anna@corner.example", language: "de" });
  await database.pool.query("delete from graphile_worker._private_jobs");
});

const operator = { key: OPERATOR_KEY };
const open = async (members: Record<string, unknown> = {}) => {
  const body = { subaccount_id: shop.id, question: "Where do the addresses come from?", ...members };
  const answer = await call("POST", "/v1/reviews", { ...operator, body });
  expect(answer.status, answer.text).toBe(201);
  return answer.body.id as string;
};
const close = (id: string, body: unknown) => call("POST", `/v1/reviews/${id}/close`, { ...operator, body });
const policy = (review: string) =>
  call("PATCH", "/v1/account", { key: master.key, body: { contact_policy: { review } } });
const held = async () => {
  const { rows } = await database.pool.query("select is_held($1) as held", [parseId("sub", shop.id)]);
  return rows[0].held as boolean;
};
const state = async () => (await call("GET", `/v1/subaccounts/${shop.id}`, { key: master.key })).body.state;

/** What the jobs that wait put into the spool; each is done twice, as a job may be. */
async function letters() {
  const { rows: jobs } = await database.pool.query(
    "select payload from graphile_worker._private_jobs j join graphile_worker._private_tasks t on t.id = j.task_id where t.identifier = 'review_letter' order by j.id",
  );
  const before = await database.pool.query("select count(*)::int as n from message");
  for (const { payload } of [...jobs, ...jobs])
    await mailReview(database.db, payload, { clock: database.clock, config });
  const { rows } = await database.pool.query(
    `select m.units, m.kind, b.bytes, array_agg(r.address order by r.n) as recipients
       from message m join body b on b.message_id = m.id join recipient r on r.message_id = m.id
      group by m.id, m.units, m.kind, b.bytes order by m.id offset $1`,
    [before.rows[0].n],
  );
  await database.pool.query("delete from graphile_worker._private_jobs");
  return Promise.all(
    rows.map(async ({ bytes, ...row }) => {
      const { subject, text } = await simpleParser(bytes);
      return { ...row, subject, text };
    }),
  );
}

describe("who hears of it", () => {
  test("both by default, each in its language, once, unmetered", async () => {
    await open({ hold: true });
    const sent = await letters();
    expect(sent.map(({ recipients }) => recipients)).toEqual([["ops@acme.example"], ["anna@corner.example"]]);
    expect(sent[0]).toMatchObject({ kind: "system", units: 0, subject: expect.stringContaining("Corner Shop") });
    expect(sent[0].text).toContain("Where do the addresses come from?");
    expect(sent[0].text).toContain("it is not delivered");
    expect(sent[1].text).toContain("zurückgehalten");
    // Its name is its master's alone.
    expect(`${sent[1].subject} ${sent[1].text}`).not.toContain("Corner Shop");
  });

  test.each([
    ["master", [["ops@acme.example"]], 404],
    ["subaccount", [["anna@corner.example"]], 200],
  ])("the %s alone, where the policy says so", async (review, recipients, status) => {
    await policy(review);
    const id = await open();
    expect((await letters()).map((letter) => letter.recipients)).toEqual(recipients);
    expect((await call("GET", `/v1/reviews/${id}`, { key: shop.key })).status).toBe(status);
    expect((await call("GET", `/v1/reviews/${id}`, { key: master.key })).status).toBe(200);
    const seen = status === 200 ? 1 : 0;
    for (const path of ["/v1/reviews", `/v1/audit?target=${id}`]) {
      expect((await call("GET", path, { key: shop.key })).body.data, path).toHaveLength(seen);
      expect((await call("GET", path, { key: master.key })).body.data, path).toHaveLength(1);
    }
    const events = await call("GET", "/v1/events?type=review.opened", { key: shop.key });
    expect(events.body.data).toHaveLength(seen);
    // A policy that is changed later changes nothing of what has been told.
    await policy("both");
    expect((await call("GET", `/v1/reviews/${id}`, { key: shop.key })).status).toBe(status);
  });

  test("the end is told, too", async () => {
    const id = await open();
    await letters();
    await close(id, { decision: "suspend", note: "The list was bought." });
    const [toMaster] = await letters();
    expect(toMaster.text).toContain("has been suspended");
    expect(toMaster.text).toContain("The list was bought.");
  });
});

describe("its hold", () => {
  test("is lifted by its decision, and by nothing else", async () => {
    const id = await open({ hold: true });
    expect(await held()).toBe(true);
    for (const verb of ["release", "suspend", "resume"]) {
      await call("POST", `/v1/subaccounts/${shop.id}/${verb}`, operator);
      expect(await held(), verb).toBe(true);
    }
    expect((await close(id, { decision: "release" })).body).toMatchObject({ state: "closed", decision: "release" });
    expect(await held()).toBe(false);
  });

  test("leaves the operator's own hold where it is", async () => {
    await call("POST", `/v1/subaccounts/${shop.id}/hold`, operator);
    const id = await open({ hold: true });
    await close(id, { decision: "release" });
    expect(await held()).toBe(true);
    await call("POST", `/v1/subaccounts/${shop.id}/release`, operator);
    expect(await held()).toBe(false);
  });

  test("gives way to the suspension that is decided, which ends by itself", async () => {
    const id = await open({ hold: true });
    await close(id, { decision: "suspend" });
    expect([await state(), await held()]).toEqual(["suspended", true]);
    await call("POST", `/v1/subaccounts/${shop.id}/resume`, operator);
    expect([await state(), await held()]).toEqual(["active", false]);
  });

  test("is not there without being asked for", async () => {
    const id = await open();
    expect(await held()).toBe(false);
    await close(id, { decision: "release" });
    expect(await state()).toBe("active");
  });
});

describe("the conversation", () => {
  const answer = (id: string, key: string, words = "From our shop.") =>
    call("POST", `/v1/reviews/${id}/answer`, { key, body: { answer: words } });

  test("is answered by the subaccount or its master until it is closed", async () => {
    const id = await open();
    expect((await answer(id, shop.key)).body).toMatchObject({ state: "answered", answered_by: shop.id });
    expect((await answer(id, master.key, "From us.")).body).toMatchObject({ answered_by: master.masterId });
    const seen = await call("GET", `/v1/reviews/${id}`, { key: shop.key });
    expect(seen.body).toMatchObject({ answer: "From us.", answered_by: "master" });
    expect(seen.text).not.toContain(master.masterId);
    await close(id, { decision: "release" });
    expect((await answer(id, shop.key)).status).toBe(409);
    const { body } = await call("GET", `/v1/audit?target=${id}`, operator);
    expect(body.data.map(({ action }: { action: string }) => action)).toEqual([
      "review.closed",
      "review.answered",
      "review.answered",
      "review.opened",
    ]);
  });

  test("is one at a time for each subaccount, also when two are opened at once", async () => {
    const body = { subaccount_id: shop.id, question: "Twice?" };
    const asked = await Promise.all([1, 2, 3].map(() => call("POST", "/v1/reviews", { ...operator, body })));
    expect(asked.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    const [opened] = asked.filter(({ status }) => status === 201);
    await close(opened!.body.id, { decision: "release" });
    await open();
  });

  test("is decided once: of many who decide at once one wins", async () => {
    const id = await open({ hold: true });
    const both = ["release", "suspend", "release", "suspend"];
    const decided = await Promise.all(both.map((decision) => close(id, { decision })));
    const { body } = await call("GET", `/v1/reviews/${id}`, operator);
    const same = both.filter((decision) => decision === body.decision).length;
    expect(decided.filter(({ status }) => status === 200)).toHaveLength(same);
    expect(await state()).toBe(body.decision === "suspend" ? "suspended" : "active");
    expect(await held()).toBe(body.decision === "suspend");
  });

  test("is the operator's to open and to close", async () => {
    const id = await open();
    for (const key of [master.key, shop.key]) {
      const body = { subaccount_id: shop.id, question: "Mine?" };
      expect((await call("POST", "/v1/reviews", { key, body })).status).toBe(403);
      const closing = await call("POST", `/v1/reviews/${id}/close`, { key, body: { decision: "release" } });
      expect(closing.status).toBe(403);
    }
    const other = await newMaster(door, { name: "Other" });
    expect((await answer(id, other.key)).status).toBe(404);
    expect((await call("POST", `/v1/reviews/${id}/answer`, { ...operator, body: { answer: "x" } })).status).toBe(403);
  });
});
