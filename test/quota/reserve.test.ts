/** The reserve: units of a limit that only transactional credentials get. */
import { expect, test } from "vitest";
import type { CredentialId } from "../../src/platform/ids.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createGate } from "../../src/quota/create-gate.ts";
import type { Gate } from "../../src/quota/gate.ts";
import { seedCredential, seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { testRedis } from "../support/redis.ts";
import { disagreements, knock, messageOf, mutate, openRows, thisMonth } from "./door.ts";

const { redis } = await testRedis();
const database = await testDatabase({ max: 30, lockTimeoutMs: 20_000 });
const { pool } = database;

type Sender = Account & Readonly<{ plain: CredentialId; transactional: CredentialId }>;

async function sender(monthlyLimit: number | null, reserve: number | null): Promise<Sender> {
  const { masterId } = await seedMaster(database);
  const who = { masterId, subaccountId: await seedSubaccount(database, masterId, { monthlyLimit }) };
  await openRows(database, who, thisMonth(database));
  await pool.query("update subaccount set reserve = $2 where id = $1", [who.subaccountId, reserve]);
  const { credentialId: plain } = await seedCredential(database, masterId, who.subaccountId);
  const { credentialId: transactional } = await seedCredential(database, masterId, who.subaccountId);
  await pool.query("update credential set transactional = true where id = $1", [transactional]);
  return { ...who, plain, transactional };
}

const one = async (who: Account, credentialId: CredentialId | null, units = 1) =>
  (await knock(pool, [messageOf(who, units, { credentialId })])).verdicts[0];

test("others stop at the limit less the reserve; transactional mail gets all of it", async () => {
  const who = await sender(10, 3);
  const said = [await one(who, who.plain, 6), await one(who, who.plain, 2), await one(who, null, 1)];
  said.push(await one(who, who.plain), await one(who, null), await one(who, who.transactional, 3));
  said.push(await one(who, who.transactional), await one(who, who.plain));
  expect(said).toEqual([
    ...["accepted", "reserved", "accepted"],
    ...["reserved", "reserved", "accepted"],
    ...["subaccount", "subaccount"],
  ]);
});

test("fifty sessions racing get exactly the limit less the reserve, while password resets race for the rest and get it", async () => {
  const who = await sender(120, 40);
  const said = await Promise.all(
    Array.from({ length: 50 }, async (_, n) => {
      const credential = n % 2 ? who.transactional : who.plain;
      const mine: string[] = [];
      for (let i = 0; i < 6; i++)
        mine.push(...(await knock(pool, [messageOf(who, 1, { credentialId: credential })])).verdicts);
      return { credential, mine };
    }),
  );
  const accepted = (credential: CredentialId) =>
    said.flatMap((one) => (one.credential === credential ? one.mine : [])).filter((v) => v === "accepted").length;
  expect(accepted(who.plain)).toBeLessThanOrEqual(80);
  expect(accepted(who.plain) + accepted(who.transactional)).toBe(120);
  expect(accepted(who.transactional)).toBeGreaterThanOrEqual(40);
  expect(await disagreements(database)).toEqual([]);
});

test("control: a door that forgets the reserve lets others take it", async () => {
  const who = await sender(10, 3);
  await mutate(pool, "forgetful", "cur[s] + u + c_reserve[s] > k_cap[s]", "false");
  const messages = Array.from({ length: 10 }, () => messageOf(who, 1, { credentialId: who.plain }));
  expect((await knock(pool, messages, "forgetful")).verdicts).toEqual(Array(10).fill("accepted"));
});

test("a reserve above the limit leaves others nothing; without a limit it holds nobody back", async () => {
  const who = await sender(10, 50);
  expect([await one(who, who.plain), await one(who, who.transactional)]).toEqual(["reserved", "accepted"]);
  const free = await sender(null, 50);
  expect(await one(free, free.plain, 500)).toBe("accepted");
});

test("a top-up is for everybody; a reserve that is taken away, and a credential that is marked, rule the next message", async () => {
  const who = await sender(3, 3);
  expect(await one(who, who.plain)).toBe("reserved");
  await pool.query("insert into top_up values (gen_random_uuid(), $1, $2, $3, 1, null, pm_now())", [
    who.subaccountId,
    who.masterId,
    thisMonth(database).start,
  ]);
  expect([await one(who, who.plain), await one(who, who.plain)]).toEqual(["accepted", "reserved"]);
  await pool.query("update credential set transactional = true where id = $1", [who.plain]);
  expect(await one(who, who.plain)).toBe("accepted");
  await pool.query("update credential set transactional = false where id = $1", [who.plain]);
  await pool.query("update subaccount set reserve = null where id = $1", [who.subaccountId]);
  expect(await one(who, who.plain, 2)).toBe("accepted");
});

const gates: [string, () => Gate][] = [
  [
    "with Redis",
    () => createGate({ database, metrics: createMetrics(), log: silentLog, clock: database.clock, redis }),
  ],
  ["without Redis", () => createGate({ database, metrics: createMetrics(), log: silentLog, clock: database.clock })],
];

test.each(gates)(
  "the gate %s refuses before the body, says that the rest is kept, and lets transactional mail pass",
  async (_, open) => {
    const gate = open();
    const who = await sender(10, 4);
    const charge = (credentialId: CredentialId, units: number) => ({
      masterId: who.masterId,
      subaccountId: who.subaccountId,
      period: thisMonth(database),
      units,
      credentialId,
      guard: { reserve: 4, transactional: credentialId === who.transactional, rates: [] },
    });
    expect((await gate.reserve(charge(who.plain, 6))).kind).toBe("reserved");
    await one(who, who.plain, 6);
    const refusal = { kind: "over", account: "subaccount", used: 6, cap: 10, resetsAt: thisMonth(database).end };
    for (let i = 0; i < 3; i++) {
      expect((await gate.reserve(charge(who.transactional, 0))).kind).toBe("reserved");
      const told = await gate.reserve(charge(who.plain, 1));
      if (told.kind === "reserved")
        await one(who, who.plain); // a gate that has just asked may pass one to the door
      else expect(told).toEqual({ ...refusal, reserved: true });
    }
    expect(await gate.reserve(charge(who.plain, 0))).toEqual({ ...refusal, reserved: true });
    expect((await gate.reserve(charge(who.transactional, 4))).kind).toBe("reserved");
    expect(await one(who, who.transactional, 4)).toBe("accepted");
  },
);
