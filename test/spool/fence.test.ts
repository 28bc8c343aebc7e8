import type { Pool, QueryConfig } from "pg";
import { expect, test } from "vitest";
import { fence } from "../../src/spool/fence.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { billOf, submissionOf, testAcceptor } from "../support/submission.ts";

const database = await testDatabase();

async function account() {
  const { masterId } = await seedMaster(database);
  return { masterId, subaccountId: await seedSubaccount(database, masterId) };
}

test("the fence finds what was committed, and voids what was not", async () => {
  const who = await account();
  const [stored, lost] = [submissionOf(who), submissionOf(who)];
  await testAcceptor(database).accept(stored);
  const decided = await fence(database.pool, [lost, stored], 1000);
  expect(decided).toEqual(
    new Map([
      [stored.id, true],
      [lost.id, false],
    ]),
  );
});

test("a call that comes through after the fence charges and stores nothing", async () => {
  const who = await account();
  const late = submissionOf(who);
  await fence(database.pool, [late], 1000);
  expect((await testAcceptor(database).accept(late)).kind).toBe("failed");
  expect(await billOf(database, who)).toMatchObject({ ledger: 0, subaccount: 0, master: 0, stored: 0 });
});

test("the reply of the commit is cut off: the fence answers what is true, and nothing is charged twice", async () => {
  const who = await account();
  const message = submissionOf(who);
  const cut = {
    query: database.pool.query.bind(database.pool),
    connect: async () => {
      const client = await database.pool.connect();
      const query = async (config: QueryConfig) => {
        await client.query(config);
        throw new Error("Connection terminated unexpectedly");
      };
      return { query, release: () => client.release() };
    },
  } as unknown as Pool;
  const acceptance = await testAcceptor(database, { pool: cut }).accept(message);
  expect(acceptance).toEqual({ kind: "accepted", id: message.id });
  expect(await billOf(database, who)).toMatchObject({ ledger: 1, subaccount: 1, stored: 1 });
});

test("a database that can't be asked leaves the result unknown", async () => {
  const who = await account();
  const unreachable = { query: async () => Promise.reject(new Error("connect ECONNREFUSED")) } as unknown as Pool;
  expect(await fence(unreachable, [submissionOf(who)], 60)).toBeUndefined();
});
