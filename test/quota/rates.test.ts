/** Limits of a short time: exact at the door, asked early at the gate. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { CredentialId } from "../../src/platform/ids.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { createCounters } from "../../src/quota/counters.ts";
import { createGate } from "../../src/quota/create-gate.ts";
import type { Charge, Gate, Guard, Rate } from "../../src/quota/gate.ts";
import { seedCredential, seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { testRedis } from "../support/redis.ts";
import { disagreements, knock, messageOf, mutate, openRows, thisMonth } from "./door.ts";

const { redis } = await testRedis();
const database = await testDatabase({ max: 30, lockTimeoutMs: 20_000 });
const { pool } = database;

type Limits = Partial<Record<"minute" | "hour" | "day", number>>;
const limit = (who: Account, limits: Limits | null, at = database) =>
  at.pool.query("update subaccount set rate_limits = $2 where id = $1", [who.subaccountId, limits]);
const limitCredential = (id: CredentialId, limits: Limits | null) =>
  pool.query("update credential set rate_limits = $2 where id = $1", [id, limits]);

async function account(limits: Limits | null, monthlyLimit: number | null = null, at = database): Promise<Account> {
  const { masterId } = await seedMaster(at);
  const who = { masterId, subaccountId: await seedSubaccount(at, masterId, { monthlyLimit }) };
  await openRows(at, who, thisMonth(at));
  await limit(who, limits, at);
  return who;
}

const count = (list: readonly string[], what: string) => list.filter((item) => item === what).length;
const one = async (who: Account, units = 1, told = {}) =>
  (await knock(pool, [messageOf(who, units, told)])).verdicts[0];

/** What was sent until now lies so many seconds further back. */
const age = (seconds: number) =>
  pool.query("update rate_window set newest = newest - $1::bigint * 60 / span", [seconds]);

const rateOf = ({ subaccountId: id }: Account, most: number, span: Rate["span"] = 60): Rate => ({ id, span, most });
const guardOf = (rates: readonly Rate[]): Guard => ({ reserve: 0, transactional: false, rates });
const chargeOf = (who: Account, units: number, guard: Guard): Charge => ({
  ...who,
  period: thisMonth(database),
  units,
  guard,
});

describe("the door", () => {
  test("fifty sessions racing for the last hundred units of an hour get exactly one hundred", async () => {
    const who = await account({ hour: 130 });
    await one(who, 30);
    const said = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const mine: string[] = [];
        for (let i = 0; i < 4; i++) mine.push(...(await knock(pool, [messageOf(who)])).verdicts);
        return mine;
      }),
    );
    expect([count(said.flat(), "accepted"), count(said.flat(), "rate")]).toEqual([100, 100]);
    expect(await disagreements(database)).toEqual([]);
  });

  test("control: a door that does not look at the windows takes them all", async () => {
    const who = await account({ hour: 3 });
    await mutate(pool, "blind", "if w_room[w] < u then verdict[i] := 7; end if;", "");
    const messages = Array.from({ length: 5 }, () => messageOf(who));
    expect((await knock(pool, messages, "blind")).verdicts).toEqual(Array(5).fill("accepted"));
  });

  test("messages of one call are decided one after the other; a small one behind a big one still fits", async () => {
    const who = await account({ minute: 5 });
    const messages = [3, 3, 1, 2, 1].map((units) => messageOf(who, units));
    expect((await knock(pool, messages)).verdicts).toEqual(["accepted", "rate", "accepted", "rate", "accepted"]);
  });

  test("what is refused is not stored, not charged, and takes no room of any window", async () => {
    const who = await account({ minute: 2, day: 10 });
    await one(who, 2);
    for (let i = 0; i < 20; i++) expect(await one(who)).toBe("rate");
    const { rows } = await pool.query("select count(*)::int as n from message where subaccount_id = $1", [
      who.subaccountId,
    ]);
    expect(rows).toEqual([{ n: 1 }]);
    await age(61);
    expect([await one(who, 2), await one(who)]).toEqual(["accepted", "rate"]);
    expect(await disagreements(database)).toEqual([]);
  });

  test("the monthly limit comes first, since waiting does not help there", async () => {
    const who = await account({ minute: 1 }, 1);
    expect([await one(who), await one(who)]).toEqual(["accepted", "subaccount"]);
  });

  test("a credential has limits of its own beside its subaccount's, and others are not held by them", async () => {
    const who = await account({ hour: 10 });
    const { credentialId } = await seedCredential(database, who.masterId, who.subaccountId);
    const { credentialId: other } = await seedCredential(database, who.masterId, who.subaccountId);
    await limitCredential(credentialId, { minute: 2 });
    const said = [await one(who, 2, { credentialId }), await one(who, 1, { credentialId })];
    said.push(await one(who, 8, { credentialId: other }), await one(who, 1, { credentialId: other }));
    expect(said).toEqual(["accepted", "rate", "accepted", "rate"]);
  });

  test("a credential's limit alone guards its subaccount, and no longer when it is taken away", async () => {
    const who = await account(null);
    const { credentialId } = await seedCredential(database, who.masterId, who.subaccountId);
    await limitCredential(credentialId, { minute: 1 });
    expect([await one(who, 2, { credentialId }), await one(who, 2)]).toEqual(["rate", "accepted"]);
    await limitCredential(credentialId, null);
    expect(await one(who, 2, { credentialId })).toBe("accepted");
  });

  test("after the answer of a change the new limit rules, also in the next period's row", async () => {
    const who = await account({ minute: 1 });
    expect([await one(who), await one(who)]).toEqual(["accepted", "rate"]);
    await limit(who, { minute: 3 });
    expect([await one(who, 2), await one(who)]).toEqual(["accepted", "rate"]);
    await limit(who, null);
    expect(await one(who, 500)).toBe("accepted");
    const late = await account({ minute: 1 });
    await pool.query("delete from usage where account_id = $1", [late.subaccountId]);
    await openRows(database, late, thisMonth(database));
    expect([await one(late), await one(late)]).toEqual(["accepted", "rate"]);
  });

  test("an account without such limits has no window, and its usage row says so", async () => {
    const who = await account(null);
    await one(who, 3);
    const windows = await pool.query("select from rate_window where id = $1", [who.subaccountId]);
    const { rows } = await pool.query("select guarded from usage where account_id = $1", [who.subaccountId]);
    expect([windows.rowCount, rows]).toEqual([0, [{ guarded: false }]]);
  });

  test("calls that need the same windows in other orders never wait in a circle", async () => {
    const crowd = await Promise.all(Array.from({ length: 6 }, () => account({ minute: 1000, day: 1000 })));
    const calls = Array.from({ length: 40 }, (_, n) => {
      const turned = [...crowd.slice(n % 6), ...crowd.slice(0, n % 6)];
      return knock(
        pool,
        (n % 2 ? turned : turned.reverse()).map((who) => messageOf(who)),
      );
    });
    const said = (await Promise.all(calls)).flatMap(({ verdicts }) => verdicts);
    expect(count(said, "accepted")).toBe(240);
  });
});

describe("windows", () => {
  /** Steps in seconds, units; the truth is a list of what was counted when. */
  const steps = fc.array(fc.tuple(fc.nat(90), fc.integer({ min: 1, max: 9 })), { minLength: 1, maxLength: 40 });

  test("the rows count what lies in the last 60 whole slots and the running one, whatever the gaps", async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (sent) => {
        const { rows } = await pool.query("select gen_random_uuid() as id");
        const { id } = rows[0];
        await pool.query("insert into rate_window values ($1, 60, 0, '{}')", [id]);
        const told: { slot: number; units: number }[] = [];
        let slot = 1_800_000_000;
        for (const [step, units] of sent) {
          slot += step;
          await pool.query("select charge_windows(array[$1::uuid], array[60], array[$2::bigint], to_timestamp($3))", [
            id,
            units,
            slot,
          ]);
          told.push({ slot, units });
          const { rows: live } = await pool.query(
            "select rate_live(slots, newest, span, to_timestamp($2)) as live, cardinality(slots) as n from rate_window where id = $1",
            [id, slot],
          );
          const expected = told.filter((t) => slot - t.slot <= 60).reduce((sum, t) => sum + t.units, 0);
          expect(live[0].live).toBe(expected);
          expect(live[0].n).toBeLessThanOrEqual(61);
        }
      }),
      { numRuns: 25 },
    );
  });

  test("Redis counts the same in all spans, also of messages that come at once", async () => {
    const spans = [60, 3600, 86400] as const;
    const gaps = fc.array(fc.tuple(fc.oneof(fc.nat(90), fc.nat(5000)), fc.integer({ min: 1, max: 9 })), {
      minLength: 1,
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(gaps, async (sent) => {
        const who = await account(null);
        const gate = createGate({ database, metrics: createMetrics(), log: silentLog, clock: database.clock, redis });
        await gate.reserve({ ...who, period: thisMonth(database), units: 0 });
        const guard = guardOf(spans.map((span) => rateOf(who, 1_000_000, span)));
        const told: { at: number; units: number }[] = [];
        let at = Math.floor(Date.now() / 1000);
        for (const [step, units] of sent) {
          at += step;
          const counters = createCounters(redis, at * 1000 - Date.now());
          await Promise.all([units, 2].map((each) => counters.reserve(chargeOf(who, each, guard))));
          told.push({ at, units: units + 2 });
        }
        for (const span of spans) {
          const total = Number(await redis.hget(`pm:{${who.masterId}}:w:${who.subaccountId}`, `${span}t`));
          // The clock may have moved on by a second between the two readings of it.
          const counted = (late: number, sentLate: number) => {
            const slot = (seconds: number) => Math.floor((seconds * 60) / span);
            return told
              .filter((t) => slot(at + late) - slot(t.at + sentLate) <= 60)
              .reduce((sum, t) => sum + t.units, 0);
          };
          expect(total).toBeGreaterThanOrEqual(counted(1, 0));
          expect(total).toBeLessThanOrEqual(counted(0, 1));
        }
      }),
      { numRuns: 15 },
    );
  });

  test("a window is full until the second that was named, and has room from then on", async () => {
    const who = await account({ minute: 4, hour: 6 });
    const wait = async (units: number) =>
      (await pool.query("select rate_wait($1, null, $2) as wait", [who.subaccountId, units])).rows[0].wait as number;
    expect(await wait(1)).toBe(0);
    await one(who, 3);
    await age(20);
    await one(who, 1);
    const first = await wait(1); // the first three leave the minute
    expect(first).toBeGreaterThanOrEqual(40);
    expect(first).toBeLessThanOrEqual(41);
    expect(await wait(4)).toBeGreaterThan(first);
    await age(first);
    expect([await wait(1), await one(who, 2)]).toEqual([0, "accepted"]);
    expect(await wait(1)).toBeGreaterThan(3000); // the hour is full now
    expect(await wait(7)).toBe(-1); // more than any hour takes
  });
});

const gates: [string, () => Gate][] = [
  [
    "with Redis",
    () => createGate({ database, metrics: createMetrics(), log: silentLog, clock: database.clock, redis }),
  ],
  ["without Redis", () => createGate({ database, metrics: createMetrics(), log: silentLog, clock: database.clock })],
];

describe.each(gates)("the gate %s", (_, open) => {
  /** Through gate and door. */
  async function send(gate: Gate, who: Account, guard: Guard, units = 1): Promise<string> {
    const charge = chargeOf(who, units, guard);
    const reservation = await gate.reserve(charge);
    if (reservation.kind !== "reserved") return reservation.kind;
    const verdict = await one(who, units);
    if (verdict !== "rate") return verdict ?? "none";
    await gate.release(charge);
    return `door ${(await gate.rateReached(charge)).kind}`;
  }

  test("refuses at MAIL when a window is full, names the seconds, and asks nobody again until then", async () => {
    const gate = open();
    const who = await account({ minute: 2 });
    const guard = guardOf([rateOf(who, 2)]);
    await send(gate, who, guard, 2);
    const told = [await send(gate, who, guard), await send(gate, who, guard)];
    expect(told.map((kind) => kind.replace("door ", ""))).toEqual(["rate", "rate"]);
    const refusal = await gate.reserve(chargeOf(who, 0, guard));
    expect(refusal).toMatchObject({ kind: "rate" });
    const { retryAfterSeconds } = refusal as { retryAfterSeconds: number };
    expect(retryAfterSeconds).toBeGreaterThanOrEqual(1);
    expect(retryAfterSeconds).toBeLessThanOrEqual(61);
  });

  test("a message that alone is more than a limit is told so at once: no time helps", async () => {
    const gate = open();
    const who = await account({ minute: 2 });
    const told = await gate.reserve(chargeOf(who, 3, guardOf([rateOf(who, 2)])));
    expect(told).toEqual({ kind: "rate", retryAfterSeconds: null });
  });

  test("a raised limit holds for the next message: what was remembered belongs to the guard before it", async () => {
    const gate = open();
    const who = await account({ minute: 1 });
    const guard = guardOf([rateOf(who, 1)]);
    await send(gate, who, guard);
    await send(gate, who, guard);
    expect((await gate.reserve(chargeOf(who, 1, guard))).kind).toBe("rate");
    await limit(who, { minute: 5 });
    expect(await send(gate, who, guardOf([rateOf(who, 5)]))).toBe("accepted");
  });

  test("two processes and a crowd of sessions get exactly what the minute holds", async () => {
    const who = await account({ minute: 60 });
    const processes = [open(), open()] as const;
    const guards = processes.map(() => guardOf([rateOf(who, 60)]));
    const told = await Promise.all(
      Array.from({ length: 30 }, async (_unused, n) => {
        const mine: string[] = [];
        for (let i = 0; i < 4; i++) {
          mine.push(await send(processes[n % 2] as Gate, who, guards[n % 2] as Guard));
        }
        return mine;
      }),
    );
    expect(count(told.flat(), "accepted")).toBe(60);
    expect(await disagreements(database)).toEqual([]);
  });
});

describe("Redis that is wrong", () => {
  const gate = () => gates[0]![1]();

  test("flushed, it lets through what the door then refuses; the process remembers it", async () => {
    const at = gate();
    const who = await account({ minute: 3 });
    const guard = guardOf([rateOf(who, 3)]);
    for (let i = 0; i < 3; i++) {
      expect((await at.reserve(chargeOf(who, 1, guard))).kind).toBe("reserved");
      expect(await one(who)).toBe("accepted");
    }
    await redis.flushall();
    const charge = chargeOf(who, 1, guard);
    expect((await at.reserve(charge)).kind).toBe("reserved");
    expect(await one(who)).toBe("rate");
    expect((await at.rateReached(charge)).kind).toBe("rate");
    expect((await at.reserve(chargeOf(who, 1, guard))).kind).toBe("rate");
  });

  test("having counted what was never stored, it costs a question to the rows, and nobody is refused", async () => {
    const at = gate();
    const who = await account({ minute: 3 });
    const guard = guardOf([rateOf(who, 3)]);
    for (let i = 0; i < 3; i++) await at.reserve(chargeOf(who, 1, guard)); // none of them comes to the door
    expect((await at.reserve(chargeOf(who, 1, guard))).kind).toBe("reserved");
  });

  test("a window that is no hash is thrown away", async () => {
    const at = gate();
    const who = await account({ minute: 3 });
    const key = `pm:{${who.masterId}}:w:${who.subaccountId}`;
    await redis.set(key, "x");
    expect((await at.reserve(chargeOf(who, 1, guardOf([rateOf(who, 3)])))).kind).toBe("reserved");
    expect(await redis.hget(key, "60t")).toBe("1");
    expect(await redis.pttl(key)).toBeGreaterThan(60_000);
  });
});
