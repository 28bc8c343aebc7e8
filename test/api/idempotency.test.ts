import { sql } from "kysely";
import { describe, expect, test } from "vitest";
import { once, type Rendered } from "../../src/api/idempotency.ts";
import { Problem, problemBody, problemOf } from "../../src/api/problem.ts";
import type { Db } from "../../src/platform/database.ts";
import { forgetKeys } from "../../src/platform/idempotency.ts";
import { newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { db } = door.database;
const master = await newMaster(door);
const body = { name: "Bakery", monthly_limit: 10 };

let last = 0;
const fresh = () => `key-${++last}`;

function create(key: string, more: { body?: unknown; key?: string; account?: string } = {}) {
  const { account } = more;
  return door.call("POST", "/v1/subaccounts", {
    key: more.key ?? master.key,
    body: more.body ?? body,
    headers: { "Idempotency-Key": key },
    ...(account === undefined ? {} : { account }),
  });
}

async function bakeries(): Promise<number> {
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from subaccount where name = 'Bakery'`.execute(
    db,
  );
  return rows[0]?.n ?? 0;
}

describe("Idempotency-Key", () => {
  test("the same request gives the same answer, once-shown password included, and creates once", async () => {
    const before = await bakeries();
    const key = fresh();
    const first = await create(key);
    const second = await create(key);
    expect(first.status).toBe(201);
    expect(second.body).toEqual(first.body);
    expect(second.body.credential.password).toMatch(/^[a-z2-7]{32}$/);
    expect(second.headers.get("etag")).toBe(first.headers.get("etag"));
    expect([first.headers.get("idempotency-replayed"), second.headers.get("idempotency-replayed")]).toEqual([
      null,
      "true",
    ]);
    expect(await bakeries()).toBe(before + 1);
  });

  test("without a key each request creates (control)", async () => {
    const before = await bakeries();
    await door.call("POST", "/v1/subaccounts", { key: master.key, body });
    await door.call("POST", "/v1/subaccounts", { key: master.key, body });
    expect(await bakeries()).toBe(before + 2);
  });

  test("twenty at once create one, and all that are answered 201 have the same answer", async () => {
    const before = await bakeries();
    const key = fresh();
    const answers = await Promise.all(Array.from({ length: 20 }, () => create(key)));
    for (const { status } of answers) expect([201, 409, 503]).toContain(status);
    const made = answers.filter(({ status }) => status === 201).map(({ text }) => text);
    expect(new Set(made).size).toBe(1);
    expect(await bakeries()).toBe(before + 1);
  });

  test("the same key with another body, path or query is 422, and nothing is created", async () => {
    const key = fresh();
    await create(key);
    const before = await bakeries();
    const other = await create(key, { body: { ...body, monthly_limit: 11 } });
    expect([other.status, other.body.type]).toEqual([422, "/problems/idempotency-mismatch"]);
    const path = await door.call("POST", "/v1/keys", {
      key: master.key,
      body: { name: "x", scopes: ["read"] },
      headers: { "Idempotency-Key": key },
    });
    expect([path.status, path.body.type]).toEqual([422, "/problems/idempotency-mismatch"]);
    expect(await bakeries()).toBe(before);
  });

  test("another caller's key is another key, also one that acts for the same account", async () => {
    const key = fresh();
    const first = await create(key);
    const stranger = await newMaster(door);
    expect((await create(key, { key: stranger.key })).body.id).not.toBe(first.body.id);
    expect((await create(key, { key: OPERATOR_KEY, account: master.masterId })).body.id).not.toBe(first.body.id);
  });

  test("a refusal by a rule is kept too; one by the form of the request is not", async () => {
    const key = fresh();
    const tooMuch = { ...body, monthly_limit: 20_000 };
    const first = await create(key, { body: tooMuch });
    const second = await create(key, { body: tooMuch });
    expect([first.status, second.status]).toEqual([422, 422]);
    expect(second.body).toEqual(first.body);
    expect(second.headers.get("idempotency-replayed")).toBe("true");
    const other = fresh();
    expect((await create(other, { body: { ...body, monthly_limit: "x" } })).status).toBe(422);
    expect((await create(other)).status).toBe(201);
  });

  test("answers lie encrypted", async () => {
    const { body: made } = await create(fresh());
    const { rows } = await sql<{ text: string }>`
      select string_agg(encode(answer, 'escape'), '') as text from idempotency`.execute(db);
    expect(rows[0]?.text).not.toContain(made.credential.password);
    expect(rows[0]?.text).not.toContain("Bakery");
  });

  test.each(["", " ", "with space", "x".repeat(256), "ümlaut"])("the key %j is refused by name", async (key) => {
    const answer = await create(key).catch(() => undefined);
    if (answer === undefined) return; // no HTTP client can send it
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].pointer).toBe("/Idempotency-Key");
  });

  test("after a day the key is new", async () => {
    const key = fresh();
    const first = await create(key);
    await sql`update idempotency set created_at = created_at - interval '25 hours' where key = ${key}`.execute(db);
    expect((await create(key)).body.id).not.toBe(first.body.id);
    await sql`update idempotency set created_at = created_at - interval '25 hours' where key = ${key}`.execute(db);
    expect(await forgetKeys(db)).toBeGreaterThan(0);
  });
});

describe("once", () => {
  const rendered = (status: number): Rendered => ({ status, headers: {}, body: `{"n":${++last}}` });
  const refusal = (error: unknown): Rendered => {
    const problem = problemOf(error);
    return { status: problem.status, headers: {}, body: JSON.stringify(problemBody(problem, "urn:x")) };
  };
  const ask = (key: string, run: (trx: Db) => Promise<Rendered>) =>
    once({ db, keyring: door.keyring, request: { principal: "p", key, requestHash: Buffer.from("h") }, run, refusal });

  test("while the first runs, the second is told so; then it gets the first one's answer", async () => {
    const key = fresh();
    const [started, finish] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const first = ask(key, async () => {
      started.resolve();
      await finish.promise;
      return rendered(201);
    });
    await started.promise;
    const never = () => Promise.reject(new Error("ran twice"));
    await expect(ask(key, never)).rejects.toMatchObject({ kind: "still-running", status: 409 });
    finish.resolve();
    expect((await ask(key, never)).body).toBe((await first).body);
  });

  test.each([
    ["a 5xx", () => new Error("bug")],
    ["a 503", () => Object.assign(new Error("gone"), { code: "57P01" })],
    ["a 429", () => new Problem("quota-subaccount", "over")],
  ])("%s is not kept: the key may be tried again", async (_, error) => {
    const key = fresh();
    await expect(ask(key, () => Promise.reject(error()))).rejects.toThrow();
    expect((await ask(key, async () => rendered(201))).status).toBe(201);
  });

  test("a crash in the middle leaves neither the effect nor a key that runs for ever", async () => {
    const key = fresh();
    const before = await bakeries();
    const crash = ask(key, async (trx) => {
      await sql`update subaccount set name = 'Bakery' where id = (select id from subaccount where name <> 'Bakery' limit 1)`.execute(
        trx,
      );
      await sql`select pg_terminate_backend(pg_backend_pid())`.execute(trx);
      return rendered(201);
    });
    await expect(crash).rejects.toThrow();
    expect(await bakeries()).toBe(before);
    expect((await ask(key, async () => rendered(201))).status).toBe(201);
  });

  test("an effect never commits without its answer: when keeping fails, the effect is undone", async () => {
    const before = await bakeries();
    const broken = { ...door.keyring, encrypt: () => Buffer.from(undefined as never) };
    const request = { principal: "p", key: fresh(), requestHash: Buffer.from("h") };
    const run = async (trx: Db) => {
      await newName(trx);
      return rendered(201);
    };
    await expect(once({ db, keyring: broken, request, run, refusal })).rejects.toThrow();
    expect(await bakeries()).toBe(before);
  });

  const newName = (trx: Db) =>
    sql`update subaccount set name = 'Bakery' where id = (select id from subaccount where name <> 'Bakery' limit 1)`.execute(
      trx,
    );
});

test("a subaccount's own requests have keys of their own", async () => {
  const child = await newSubaccount(door, master);
  const ask = { body: { name: "k", scopes: ["read"] }, headers: { "Idempotency-Key": "same" } };
  const one = await door.call("POST", "/v1/keys", { ...ask, key: child.key });
  const two = await door.call("POST", "/v1/keys", { ...ask, key: master.key });
  expect([one.status, two.status]).toEqual([201, 201]);
  expect(one.body.key).not.toBe(two.body.key);
});
