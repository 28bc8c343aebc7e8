import type { Pool, Submittable } from "pg";
import { expect, test } from "vitest";
import { freshClient } from "../../src/platform/database.ts";
import { fence } from "../../src/spool/fence.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { billOf, submissionOf, testAcceptor } from "../support/submission.ts";

const database = await testDatabase();
const connect = () => freshClient(database);

async function account() {
  const { masterId } = await seedMaster(database);
  return { masterId, subaccountId: await seedSubaccount(database, masterId) };
}

/** A statement with its callback, as the driver keeps it. */
type Called = Submittable & { callback(error: Error | null, result?: unknown): void };

test("the fence finds what was committed, and voids what was not", async () => {
  const who = await account();
  const [stored, lost] = [submissionOf(who), submissionOf(who)];
  await testAcceptor(database).accept(stored);
  const decided = await fence(connect, [lost, stored], performance.now() + 5000);
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
  await fence(connect, [late], performance.now() + 5000);
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
      const query = (statement: Called) => {
        const { callback } = statement;
        statement.callback = (error) => callback(error ?? new Error("Connection terminated unexpectedly"));
        client.query(statement);
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
  const unreachable = async () => Promise.reject(new Error("connect ECONNREFUSED"));
  expect(await fence(unreachable, [submissionOf(who)], performance.now() + 60)).toBeUndefined();
});

test("a server that says nothing any more ends in unknown at the deadline, not when its connection dies", async () => {
  const who = await account();
  const silent = async () => ({ query: () => new Promise(() => {}), end: async () => {} }) as never;
  expect(await fence(silent, [submissionOf(who)], performance.now() + 60)).toBeUndefined();
});

test("an error in another language is still an error: nothing was stored, and only the bad message is refused", async () => {
  const who = await account();
  const translated = {
    query: database.pool.query.bind(database.pool),
    connect: async () => {
      const client = await database.pool.connect();
      const query = (statement: Called) => {
        const { callback } = statement;
        statement.callback = (error, result) => callback(error && Object.assign(error, { severity: "FEHLER" }), result);
        client.query(statement);
      };
      return { query, release: () => client.release() };
    },
  } as unknown as Pool;
  const acceptor = testAcceptor(database, { pool: translated, concurrency: 1 });
  const answers = await Promise.all([
    acceptor.accept(submissionOf(who)),
    acceptor.accept(submissionOf(who, { subject: "a\0b" })),
    acceptor.accept(submissionOf(who)),
  ]);
  expect(answers.map((a) => a.kind)).toEqual(["accepted", "failed", "accepted"]);
});
