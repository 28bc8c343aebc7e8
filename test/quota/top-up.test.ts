import { expect, test } from "vitest";
import { changeMaster } from "../../src/accounts/change-master.ts";
import type { MasterInput } from "../../src/accounts/create-master.ts";
import { findSubaccount } from "../../src/accounts/find.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { addTopUp, type NewTopUp } from "../../src/quota/top-up.ts";
import { testDatabase } from "../support/database.ts";
import { operator, type TestMaster, type TestSubaccount, tenants } from "../support/tenants.ts";
import { disagreements, knock, messageOf, openRows, thisMonth } from "./door.ts";

const database = await testDatabase({ max: 20, lockTimeoutMs: 20_000 });
const { db, clock, pool } = database;
const make = tenants({ db, clock });

async function pair(monthlyLimit: number | null = 10, input: Partial<MasterInput> = {}) {
  const owner = await make.master(input);
  const child = await make.subaccount(owner, { monthlyLimit });
  const who = { masterId: owner.master.id, subaccountId: child.subaccount.id };
  return { owner, child, who };
}

const add = ({ owner, child }: { owner: TestMaster; child: TestSubaccount }, told: NewTopUp) =>
  addTopUp(db, owner.principal, child.subaccount, told, clock);
const topUps = async (id: string) =>
  (await pool.query("select units, note, period_start from top_up where subaccount_id = $1 order by id", [id])).rows;

test("units are added to the running period: told, kept, audited, announced, and in force when the call answers", async () => {
  const made = await pair();
  await openRows(database, made.who, thisMonth(database));
  await knock(pool, [messageOf(made.who, 10)]);
  const answer = await add(made, { units: 5, note: "christmas" });
  const { start } = thisMonth(database);
  expect(answer).toMatchObject({ units: 5, note: "christmas", period: thisMonth(database) });
  expect((await knock(pool, [messageOf(made.who, 6), messageOf(made.who, 5)])).verdicts).toEqual([
    "subaccount",
    "accepted",
  ]);
  expect(await topUps(made.who.subaccountId)).toEqual([{ units: 5, note: "christmas", period_start: start }]);
  const { rows } = await pool.query(
    `select a.action, a.after ->> 'units' as units, e.data ->> 'top_up' as announced from audit_entry a, event e
      where a.subaccount_id = $1 and a.action like 'quota%' and e.subaccount_id = $1 and e.type = 'quota.changed'`,
    [made.who.subaccountId],
  );
  expect(rows).toEqual([{ action: "quota.topped_up", units: "5", announced: "5" }]);
});

test("an account that has not sent yet has its top-up from its first message on", async () => {
  const made = await pair(1);
  await add(made, { units: 4 });
  await openRows(database, made.who, thisMonth(database));
  expect((await knock(pool, [messageOf(made.who, 6), messageOf(made.who, 5)])).verdicts).toEqual([
    "subaccount",
    "accepted",
  ]);
});

test("a top-up does not lift the master's cap", async () => {
  const made = await pair(10, { allowance: 10 });
  await add(made, { units: 5 });
  await openRows(database, made.who, thisMonth(database));
  expect((await knock(pool, [messageOf(made.who, 12), messageOf(made.who, 10)])).verdicts).toEqual([
    "master",
    "accepted",
  ]);
});

test("many at once, beside sessions that send and rows that open, all count", async () => {
  const made = await pair(10);
  const opening = Array.from({ length: 4 }, () => openRows(database, made.who, thisMonth(database)));
  const adding = Array.from({ length: 8 }, () => add(made, { units: 5 }));
  await Promise.all([...opening, ...adding]);
  const told = await Promise.all(Array.from({ length: 60 }, () => knock(pool, [messageOf(made.who)])));
  expect(told.filter(({ verdicts }) => verdicts[0] === "accepted")).toHaveLength(50);
  expect(await disagreements(database)).toEqual([]);
});

test.each([
  [{ units: 0 }, "/units"],
  [{ units: -1 }, "/units"],
  [{ units: 1.5 }, "/units"],
  [{ units: Number.NaN }, "/units"],
  [{ units: 1e13 }, "/units"],
  [{ units: 1, note: "x".repeat(501) }, "/note"],
  [{ units: 1, note: "a\0b" }, "/note"],
])("%j is invalid, and nothing is kept", async (told, pointer) => {
  const made = await pair();
  await expect(add(made, told)).rejects.toMatchObject({ kind: "invalid", details: [{ pointer }] });
  expect(await topUps(made.who.subaccountId)).toEqual([]);
});

test("a subaccount can't top itself up, nor a master another's", async () => {
  const made = await pair();
  const stranger = await make.master();
  const { subaccount } = made.child;
  await expect(addTopUp(db, made.child.principal, subaccount, { units: 1 }, clock)).rejects.toMatchObject({
    kind: "forbidden",
  });
  await expect(addTopUp(db, stranger.principal, subaccount, { units: 1 }, clock)).rejects.toMatchObject({
    kind: "not-found",
  });
  await expect(addTopUp(db, operator, subaccount, { units: 1 }, clock)).resolves.toMatchObject({ units: 1 });
});

test("a closed account takes none, nor does one without a limit", async () => {
  const made = await pair();
  await transitionSubaccount(db, made.owner.principal, made.who.subaccountId, "close", {}, clock);
  await expect(add(made, { units: 1 })).rejects.toMatchObject({ kind: "conflict" });
  await expect(add(await pair(null), { units: 1 })).rejects.toMatchObject({ kind: "conflict" });
});

test("with strict allocation only what is still to give is given, also to two who ask at once", async () => {
  const made = await pair(10, { allowance: 15 });
  await changeMaster(db, made.owner.principal, undefined, { strictAllocation: true }, {}, clock);
  await openRows(database, made.who, thisMonth(database));
  await expect(add(made, { units: 6 })).rejects.toMatchObject({ kind: "conflict", details: [{ pointer: "/units" }] });
  const ends = await Promise.allSettled([add(made, { units: 5 }), add(made, { units: 5 })]);
  expect(ends.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
});

test("in the caller's transaction it is kept or undone with the rest", async () => {
  const made = await pair();
  const undone = db.transaction().execute(async (trx) => {
    await addTopUp(trx, made.owner.principal, made.child.subaccount, { units: 5 }, clock);
    throw new Error("undone");
  });
  await expect(undone).rejects.toThrow("undone");
  expect(await topUps(made.who.subaccountId)).toEqual([]);
  expect(await findSubaccount(db, operator, made.who.subaccountId, clock)).toMatchObject({ monthlyLimit: 10 });
});
