/** Credits: spent after limit and top-ups, exactly, whoever races; and proven. */
import { describe, expect, test } from "vitest";
import { readUsage } from "../../src/metering/usage.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createGate } from "../../src/quota/create-gate.ts";
import { addPack, allocateCredits, listLots, listPacks } from "../../src/quota/credits.ts";
import type { Gate } from "../../src/quota/gate.ts";
import { testDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { testRedis } from "../support/redis.ts";
import { operator, tenants } from "../support/tenants.ts";
import { disagreements, knock, messageOf, mutate, openRows, thisMonth } from "./door.ts";

const { redis } = await testRedis();
const database = await testDatabase({ max: 30, lockTimeoutMs: 20_000 });
const { db, pool, clock } = database;
const house = tenants(database);
const DAY = 86_400_000;

type Given = Readonly<{
  limit?: number | null;
  allowance?: number | null;
  packs?: [units: number, days: number | null][];
  units?: number;
}>;

/** A subaccount with credits of its master's packs. */
async function buyer({ limit = 10, allowance = null, packs = [[20, null]], units = 20 }: Given = {}) {
  const master = await house.master({ allowance });
  const { subaccount } = await house.subaccount(master, { monthlyLimit: limit });
  const who = { masterId: master.master.id, subaccountId: subaccount.id };
  await openRows(database, who, thisMonth(database));
  for (const [bought, days] of packs) {
    const expiresAt = days === null ? null : new Date(Date.now() + days * DAY);
    await addPack(db, operator, { masterId: who.masterId, units: bought, expiresAt }, clock);
  }
  if (units > 0) await allocateCredits(db, master.principal, subaccount, units, clock);
  return { master, subaccount, who };
}

const one = async (who: Account, units = 1) => (await knock(pool, [messageOf(who, units)])).verdicts[0];
const usageOf = (who: Account) => readUsage(db, operator, who.subaccountId, undefined, clock);
const verified = async () => (await verifyLedger(db, clock)).differences;

test("fifty sessions racing get exactly what limit and credits hold together, and the books say so", async () => {
  const { who } = await buyer({ limit: 40, packs: [[60, null]], units: 60 });
  const said = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const mine: string[] = [];
      for (let i = 0; i < 3; i++) mine.push(...(await knock(pool, [messageOf(who)])).verdicts);
      return mine;
    }),
  );
  const kinds = Object.groupBy(said.flat(), (verdict) => verdict);
  expect([kinds.accepted?.length, kinds.subaccount?.length]).toEqual([100, 50]);
  expect(await usageOf(who)).toMatchObject({ used: 100, limit: 40, remaining: 0, credits: { used: 60, left: 0 } });
  expect(await disagreements(database)).toEqual([]);
  expect(await verified()).toEqual([]);
});

test("the limit is used first, then what expires first; a message takes of several lots", async () => {
  const { who, subaccount } = await buyer({
    packs: [
      [5, null],
      [5, 30],
      [5, 7],
    ],
    units: 15,
  });
  expect(await one(who, 8)).toBe("accepted");
  const spent = async () =>
    (await listLots(db, subaccount, { limit: 10 })).map((lot) => [lot.expiresAt !== null, lot.spent]);
  expect((await spent()).map(([, units]) => units)).toEqual([0, 0, 0]);
  expect(await one(who, 8)).toBe("accepted"); // two of the limit, six of credits
  const lots = (await listLots(db, subaccount, { limit: 10 })).toSorted(
    (a, b) => Number(a.expiresAt ?? 9e15) - Number(b.expiresAt ?? 9e15),
  );
  expect(lots.map((lot) => lot.spent)).toEqual([5, 1, 0]);
  expect(await one(who, 10)).toBe("subaccount"); // nine are left
  expect(await one(who, 9)).toBe("accepted");
  expect(await one(who)).toBe("subaccount");
  expect(await verified()).toEqual([]);
});

test("bought units lift the master's cap too; siblings without credits stay refused", async () => {
  const { who, master } = await buyer({ limit: null, allowance: 10, units: 5 });
  const sibling = await house.subaccount(master, { monthlyLimit: 10 });
  const other = { masterId: who.masterId, subaccountId: sibling.subaccount.id };
  await openRows(database, other, thisMonth(database));
  expect([await one(other, 8), await one(who, 6), await one(other, 1)]).toEqual(["accepted", "accepted", "master"]);
  expect([await one(who, 2), await one(who, 1), await one(other)]).toEqual(["master", "accepted", "master"]);
  expect([await one(who), await one(other)]).toEqual(["master", "master"]);
  expect(await verified()).toEqual([]);
});

test("what has expired pays nothing", async () => {
  const { who } = await buyer({ limit: 0, packs: [[5, 1]], units: 5 });
  await pool.query("update credit_lot set expires_at = pm_now() where subaccount_id = $1", [who.subaccountId]);
  expect(await one(who)).toBe("subaccount");
});

describe("a message costs no more credits than it has units", () => {
  const left = async (who: Account) => (await usageOf(who)).credits;

  test("where the limit was lowered below what is used", async () => {
    const { who } = await buyer({ limit: 10, units: 8 });
    expect(await one(who, 9)).toBe("accepted");
    await pool.query("update subaccount set monthly_limit = 4 where id = $1", [who.subaccountId]);
    expect(await one(who)).toBe("accepted");
    expect(await left(who)).toEqual({ used: 1, left: 7 });
    expect([await one(who, 8), await one(who, 7), await one(who)]).toEqual(["subaccount", "accepted", "subaccount"]);
    expect(await verified()).toEqual([]);
  });

  test("where the master's allowance was", async () => {
    const { who } = await buyer({ limit: null, allowance: 10, units: 3 });
    expect(await one(who, 9)).toBe("accepted");
    await pool.query("update master set allowance = 2 where id = $1", [who.masterId]);
    expect([await one(who), await one(who, 3), await one(who, 2)]).toEqual(["accepted", "master", "accepted"]);
    expect(await left(who)).toEqual({ used: 3, left: 0 });
    expect(await verified()).toEqual([]);
  });

  test("where a reserve reaches into what is used", async () => {
    const { who } = await buyer({ limit: 10, units: 3 });
    expect(await one(who, 9)).toBe("accepted");
    await pool.query("update subaccount set reserve = 5 where id = $1", [who.subaccountId]);
    expect(await one(who, 2)).toBe("accepted");
    expect(await left(who)).toEqual({ used: 2, left: 1 });
    expect(await verified()).toEqual([]);
  });
});

test("a change of the limit leaves what was spent spent", async () => {
  const { who } = await buyer({ limit: 2, units: 10 });
  expect(await one(who, 6)).toBe("accepted");
  await pool.query("update subaccount set monthly_limit = 5 where id = $1", [who.subaccountId]);
  expect(await usageOf(who)).toMatchObject({ used: 6, limit: 5, remaining: 9, credits: { used: 4, left: 6 } });
  expect([await one(who, 9), await one(who)]).toEqual(["accepted", "subaccount"]);
  expect(await usageOf(who)).toMatchObject({ used: 15, credits: { used: 10, left: 0 } });
  expect(await verified()).toEqual([]);
});

test("control: a door that spends and does not count it is found by the proof, and one that oversells by the caps", async () => {
  await using other = await testDatabase();
  const rooms = tenants(other);
  const master = await rooms.master();
  const { subaccount } = await rooms.subaccount(master, { monthlyLimit: 1 });
  const who = { masterId: master.master.id, subaccountId: subaccount.id };
  await openRows(other, who, thisMonth(other));
  await addPack(other.db, operator, { masterId: who.masterId, units: 3 }, other.clock);
  await allocateCredits(other.db, master.principal, subaccount, 3, other.clock);
  await mutate(other.pool, "silent", "set spent = spent + taken", "set spent = spent", "spend_credits");
  const { rows } = await other.pool.query("select pg_get_functiondef('silent'::regproc) as text");
  await other.pool.query(rows[0].text.replace("FUNCTION public.silent(", "FUNCTION public.spend_credits("));
  await knock(other.pool, [messageOf(who, 4)]);
  const { differences } = await verifyLedger(other.db, other.clock);
  expect(differences).toMatchObject([{ check: "credits", detail: "it says 0 units are spent, its journal 3" }]);
});

describe("packs", () => {
  test("never give more than they hold, whoever asks at once", async () => {
    const { master, subaccount } = await buyer({
      packs: [
        [10, null],
        [7, 5],
      ],
      units: 0,
    });
    const asked = await Promise.allSettled(
      Array.from({ length: 20 }, () => allocateCredits(db, master.principal, subaccount, 2, clock)),
    );
    expect(asked.filter(({ status }) => status === "fulfilled")).toHaveLength(8);
    const packs = await listPacks(db, master.principal, { limit: 10 });
    expect(packs.map(({ allocated, left }) => [allocated, left])).toEqual([
      [9, 1],
      [7, 0],
    ]);
    await expect(allocateCredits(db, master.principal, subaccount, 2, clock)).rejects.toThrow("Only 1 units");
  });

  test("only the operator adds them, only a master gives them", async () => {
    const { master, subaccount, who } = await buyer({ units: 0 });
    await expect(addPack(db, master.principal, { masterId: who.masterId, units: 5 }, clock)).rejects.toThrow(
      "operator",
    );
    const child = { kind: "subaccount", ...who, keyId: null, scopes: ["full"] } as const;
    await expect(allocateCredits(db, child, subaccount, 5, clock)).rejects.toThrow("its master may");
    const stranger = await house.master();
    await expect(allocateCredits(db, stranger.principal, subaccount, 5, clock)).rejects.toMatchObject({
      kind: "not-found",
    });
    expect(await listPacks(db, stranger.principal, { limit: 10 })).toEqual([]);
  });
});

const gates: [string, () => Gate][] = [
  [
    "with Redis",
    () => createGate({ database, metrics: createMetrics(), log: silentLog, clock: database.clock, redis }),
  ],
  ["without Redis", () => createGate({ database, metrics: createMetrics(), log: silentLog, clock: database.clock })],
];

test.each(gates)(
  "the gate %s lets pass what credits pay, also when the master's cap is reached, and refuses the rest",
  async (_, open) => {
    const gate = open();
    const { who } = await buyer({ limit: 5, allowance: 5, units: 6 });
    const guard = { reserve: 0, transactional: false, rates: [], credits: true };
    const send = async (units: number) => {
      const charge = { ...who, period: thisMonth(database), units, guard };
      const { kind } = await gate.reserve(charge);
      return kind === "reserved" ? one(who, units) : kind;
    };
    const told = [await send(4), await send(4), await send(9), await send(3), await send(1)];
    expect(told.slice(0, 2)).toEqual(["accepted", "accepted"]);
    expect(["over", "subaccount"]).toContain(told[2]);
    expect(told[3]).toBe("accepted");
    expect(["over", "subaccount"]).toContain(told[4]);
    expect(await verified()).toEqual([]);
  },
);

test.each(gates)(
  "the gate %s asks of credits only what the message has, where the limit was lowered",
  async (_, open) => {
    const gate = open();
    const { who } = await buyer({ limit: 10, units: 2 });
    expect(await one(who, 9)).toBe("accepted");
    await pool.query("update subaccount set monthly_limit = 4 where id = $1", [who.subaccountId]);
    const charge = (units: number) => ({
      ...{ ...who, period: thisMonth(database), units },
      guard: { reserve: 0, transactional: false, rates: [], credits: true },
    });
    expect(["over", "subaccount"]).toContain((await gate.reserve(charge(3))).kind);
    expect((await gate.reserve(charge(2))).kind).toBe("reserved");
    expect(await one(who, 2)).toBe("accepted");
  },
);
