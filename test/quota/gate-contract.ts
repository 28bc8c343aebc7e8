/** What every gate promises, whatever it counts with. */
import type { Pool, QueryConfig } from "pg";
import { describe, expect, test } from "vitest";
import { previousPeriod } from "../../src/metering/period.ts";
import type { Database } from "../../src/platform/database.ts";
import type { AccountId } from "../../src/platform/ids.ts";
import type { Charge, Gate, Reservation } from "../../src/quota/gate.ts";
import { publishAccount } from "../../src/quota/publish.ts";
import { readStandings } from "../../src/quota/standing.ts";
import { type MasterSeed, type SubaccountSeed, seedMaster, seedSubaccount } from "../support/accounts.ts";
import type { TestDatabase } from "../support/database.ts";
import type { Account } from "../support/ledger.ts";
import { utcMonths } from "../support/submission.ts";
import { disagreements, knock, messageOf, openRows, thisMonth } from "./door.ts";

export type World = Readonly<{ database: TestDatabase; gate: Gate }>;

export async function account(
  { database }: Pick<World, "database">,
  subaccount: SubaccountSeed = {},
  master: MasterSeed = {},
) {
  const { masterId } = await seedMaster(database, master);
  return { masterId, subaccountId: await seedSubaccount(database, masterId, subaccount) };
}

/** One master, so many subaccounts. */
export async function family(
  { database }: Pick<World, "database">,
  size: number,
  master: MasterSeed,
): Promise<Account[]> {
  const { masterId } = await seedMaster(database, master);
  const members: Account[] = [];
  for (let i = 0; i < size; i++) members.push({ masterId, subaccountId: await seedSubaccount(database, masterId) });
  return members;
}

export const chargeOf = (world: Pick<World, "database">, who: Account, units: number): Charge => ({
  ...who,
  period: thisMonth(world.database),
  units,
});

/** Through gate and door like a message of the product: what the client is told. */
export async function send({ database, gate }: World, who: Account, units = 1): Promise<Reservation["kind"]> {
  const charge = chargeOf({ database }, who, units);
  const reservation = await gate.reserve(charge);
  if (reservation.kind !== "reserved") return reservation.kind;
  const message = messageOf(who, units);
  const { verdicts } = await knock(database.pool, [message]).catch(async () => {
    await openRows(database, who, charge.period);
    return knock(database.pool, [message]);
  });
  const [verdict] = verdicts;
  if (verdict === "accepted") return "reserved";
  if (verdict === "subaccount" || verdict === "master") await gate.publish(await standings(database, who));
  await gate.release(charge);
  return verdict === "closed" ? "closed" : "over";
}

export const standings = ({ pool, clock }: TestDatabase, { masterId, subaccountId }: Account) =>
  readStandings(pool, [subaccountId, masterId], thisMonth({ clock } as TestDatabase).start);

const set = (database: Database, text: string, id: AccountId) => database.pool.query(text, [id]);

export function promises(name: string, database: TestDatabase, openGate: (pool: Pool) => Gate): void {
  const open = (): World => ({ database, gate: openGate(database.pool) });
  describe(name, () => {
    test("lets through what fits, and counts it", async () => {
      const world = open();
      const who = await account(world, { monthlyLimit: 3 }, { allowance: 10 });
      const told = [
        await send(world, who, 2),
        await send(world, who, 2),
        await send(world, who, 1),
        await send(world, who, 1),
      ];
      expect(told).toEqual(["reserved", "over", "reserved", "over"]);
    });

    test("tells of a refusal whose it is, what the rows say, and when it ends", async () => {
      const world = open();
      const { gate, database } = world;
      const resetsAt = thisMonth(database).end;
      const who = await account(world, { monthlyLimit: 3 }, { allowance: 5 });
      const sibling = { ...who, subaccountId: await seedSubaccount(database, who.masterId) };
      await send(world, who, 2);
      expect(await gate.reserve(chargeOf(world, who, 2))).toEqual({
        kind: "over",
        account: "subaccount",
        used: 2,
        cap: 3,
        resetsAt,
      });
      await send(world, sibling, 2);
      expect(await gate.reserve(chargeOf(world, sibling, 2))).toEqual({
        kind: "over",
        account: "master",
        used: 4,
        cap: 5,
        resetsAt,
      });
    });

    test("at MAIL, with no units, refuses only when nothing at all is left", async () => {
      const world = open();
      const who = await account(world, { monthlyLimit: 2 });
      const ask = async () => (await world.gate.reserve(chargeOf(world, who, 0))).kind;
      const told = [await ask()];
      await send(world, who);
      told.push(await ask(), await ask());
      await send(world, who);
      told.push(await ask());
      expect(told).toEqual(["reserved", "reserved", "reserved", "over"]);
    });

    test("a limit of zero refuses everything; no limit at all refuses nothing", async () => {
      const world = open();
      expect(await send(world, await account(world, { monthlyLimit: 0 }))).toBe("over");
      expect(await send(world, await account(world, { monthlyLimit: null }), 100)).toBe("reserved");
    });

    test("a refused message leaves its room to a smaller one", async () => {
      const world = open();
      const who = await account(world, { monthlyLimit: 10 });
      await send(world, who, 8);
      for (let i = 0; i < 5; i++) expect(await send(world, who, 3)).toBe("over");
      expect(await send(world, who, 2)).toBe("reserved");
    });

    test.each([
      ["disabled", "update subaccount set state = 'disabled' where id = $1", "subaccountId"],
      ["past its end date", "update subaccount set expires_at = pm_now() where id = $1", "subaccountId"],
      ["of a closed master", "update master set state = 'closed' where id = $1", "masterId"],
    ] as const)("an account that is %s is closed, also when nothing is left", async (_, change, id) => {
      const world = open();
      const who = await account(world, { monthlyLimit: 1 });
      await send(world, who);
      await set(world.database, change, who[id]);
      await publishAccount(world.database.db, world.gate, who[id]);
      expect((await world.gate.reserve(chargeOf(world, who, 1))).kind).toBe("closed");
    });

    test("an account that has just been closed elsewhere is closed when the gate asks, and at the door before that", async () => {
      const world = open();
      const who = await account(world);
      await send(world, who);
      await set(world.database, "update subaccount set state = 'disabled' where id = $1", who.subaccountId);
      expect(await send(world, who)).toBe("closed");
      await set(world.database, "update subaccount set state = 'active' where id = $1", who.subaccountId);
      await publishAccount(world.database.db, world.gate, who.subaccountId);
      expect(await send(world, who)).toBe("reserved");
    });

    test("a raised limit holds for the next message, and so does a lowered one", async () => {
      const world = open();
      const who = await account(world, { monthlyLimit: 1 });
      await send(world, who);
      expect(await send(world, who)).toBe("over");
      await set(world.database, "update subaccount set monthly_limit = 3 where id = $1", who.subaccountId);
      await publishAccount(world.database.db, world.gate, who.subaccountId);
      expect(await send(world, who)).toBe("reserved");
      await set(world.database, "update subaccount set monthly_limit = 2 where id = $1", who.subaccountId);
      await publishAccount(world.database.db, world.gate, who.subaccountId);
      expect((await world.gate.reserve(chargeOf(world, who, 0))).kind).toBe("over");
    });

    test("a master's raised allowance holds for the next message of each of its subaccounts", async () => {
      const world = open();
      const [one, two] = (await family(world, 2, { allowance: 2 })) as [Account, Account];
      await send(world, one, 2);
      expect([await send(world, one), await send(world, two)]).toEqual(["over", "over"]);
      await set(world.database, "update master set allowance = 4 where id = $1", one.masterId);
      await publishAccount(world.database.db, world.gate, one.masterId);
      expect([await send(world, one), await send(world, two)]).toEqual(["reserved", "reserved"]);
    });

    test("an account that has never sent is opened on the way", async () => {
      const world = open();
      const who = await account(world);
      expect(await world.gate.reserve(chargeOf(world, who, 1))).toEqual({ kind: "reserved" });
      expect((await standings(world.database, who)).map(({ used }) => used)).toEqual([0, 0]);
    });

    test("an account that nobody knows passes: the door says what it is", async () => {
      const world = open();
      const { subaccountId } = await account(world);
      const stranger = { subaccountId, masterId: subaccountId as never };
      await world.database.pool.query("delete from subaccount where id = $1", [subaccountId]);
      expect((await world.gate.reserve(chargeOf(world, stranger, 1))).kind).toBe("reserved");
    });

    test("a full row of a period that has ended refuses nothing: a node whose clock is behind asks the door", async () => {
      const world = open();
      const who = await account(world, { monthlyLimit: 0 });
      const period = previousPeriod(utcMonths, thisMonth(database));
      await openRows(database, who, period);
      const told = async ({ gate }: World) => (await gate.reserve({ ...who, period, units: 1 })).kind;
      expect(await told(world)).toBe("reserved");
      // Control: a gate that does not ask Postgres's clock refuses.
      const blind = rewritten(database.pool, "period_end <= pm_now()", "false");
      expect(await told({ database, gate: openGate(blind) })).toBe("over");
    });

    test("fifty sessions racing for the last hundred units get exactly one hundred through gate and door", async () => {
      const world = open();
      const who = await account(world, { monthlyLimit: 120 });
      await send(world, who, 20);
      const told = await Promise.all(
        Array.from({ length: 50 }, async () => {
          const mine: string[] = [];
          for (let i = 0; i < 3; i++) mine.push(await send(world, who));
          return mine;
        }),
      );
      const kinds = Object.groupBy(told.flat(), (kind) => kind);
      expect([kinds.reserved?.length, kinds.over?.length]).toEqual([100, 50]);
      expect(await disagreements(world.database)).toEqual([]);
    });

    test("the same over twenty subaccounts under a master's cap", async () => {
      const world = open();
      const members = await family(world, 20, { allowance: 100 });
      const told = await Promise.all(
        Array.from({ length: 60 }, async (_, n) => {
          const mine: string[] = [];
          for (let i = 0; i < 2; i++) mine.push(await send(world, members[n % 20] as Account));
          return mine;
        }),
      );
      const kinds = Object.groupBy(told.flat(), (kind) => kind);
      expect([kinds.reserved?.length, kinds.over?.length]).toEqual([100, 20]);
      expect(await disagreements(world.database)).toEqual([]);
    });

    test("a client that goes on after its limit costs a statement at most each second", async () => {
      let asked = 0;
      const world = { database, gate: openGate(watched(database.pool, () => asked++)) };
      const who = await account(world, { monthlyLimit: 1 });
      await send(world, who);
      await world.gate.reserve(chargeOf(world, who, 1));
      asked = 0;
      const startedAtMs = performance.now();
      for (let i = 0; i < 200; i++) expect((await world.gate.reserve(chargeOf(world, who, 1))).kind).toBe("over");
      const seconds = Math.ceil((performance.now() - startedAtMs) / 1000);
      expect(asked).toBeLessThanOrEqual(seconds);
    });

    test("where Postgres can't be asked the message passes to the door", async () => {
      const world = open();
      const who = await account(world, { monthlyLimit: 1 });
      await send(world, who);
      const away = watched(database.pool, () => {
        throw new Error("the database is away");
      });
      const gate = openGate(away);
      expect((await gate.reserve(chargeOf(world, who, 5))).kind).toBe("reserved");
    });
  });
}

/** A pool whose statements hold another text in a place. */
function rewritten(pool: Pool, from: string, to: string): Pool {
  const query = (asked: string | QueryConfig, values?: unknown[]) =>
    typeof asked === "string"
      ? pool.query(asked, values)
      : pool.query({ text: asked.text.replace(from, to), values: asked.values ?? [] });
  return { query } as unknown as Pool;
}

/** A pool of which the test sees, or fails, each statement. */
function watched(pool: Pool, watch: () => void): Pool {
  const query = async (...args: unknown[]) => {
    watch();
    return Reflect.apply(pool.query, pool, args) as unknown;
  };
  return { query } as unknown as Pool;
}
