import { expect, test } from "vitest";
import { periodAt, previousPeriod } from "../../src/metering/period.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { billOf, submissionOf, testAcceptor, utcMonths } from "../support/submission.ts";

const database = await testDatabase({ max: 12 });

async function account(limit: number | null, allowance: number | null = null) {
  const { masterId } = await seedMaster(database, { allowance });
  return { masterId, subaccountId: await seedSubaccount(database, masterId, { monthlyLimit: limit }) };
}

test("an accepted message is stored and charged, once, for each unique recipient", async () => {
  const who = await account(100);
  const acceptance = await testAcceptor(database).accept(
    submissionOf(who, { recipients: ["a@example.net", "b@example.net", "c@example.net"] }),
  );
  expect(acceptance.kind).toBe("accepted");
  expect(await billOf(database, who)).toEqual({ ledger: 3, subaccount: 3, master: 3, messages: 1, stored: 1 });
});

test("fifty racing for the last hundred units get exactly one hundred, over two acceptors", async () => {
  const who = await account(100);
  const acceptors = [testAcceptor(database), testAcceptor(database, { owner: 2 })];
  const answers = await Promise.all(Array.from({ length: 150 }, (_, i) => acceptors[i % 2]?.accept(submissionOf(who))));
  const kinds = Object.groupBy(answers, (a) => a?.kind ?? "none");
  expect(kinds.accepted).toHaveLength(100);
  expect(kinds.over).toHaveLength(50);
  const { end: resetsAt } = periodAt(utcMonths, new Date());
  expect(kinds.over?.[0]).toEqual({ kind: "over", account: "subaccount", used: 100, cap: 100, resetsAt });
  expect(await billOf(database, who)).toEqual({
    ledger: 100,
    subaccount: 100,
    master: 100,
    messages: 100,
    stored: 100,
  });
});

test("what does not fit is refused whole; a small message behind it that fits is accepted", async () => {
  const who = await account(5);
  const acceptor = testAcceptor(database, { concurrency: 1 });
  const many = Array.from({ length: 6 }, (_, i) => `r${i}@example.net`);
  const [first, big, small] = await Promise.all([
    acceptor.accept(submissionOf(who)),
    acceptor.accept(submissionOf(who, { recipients: many })),
    acceptor.accept(submissionOf(who, { recipients: many.slice(0, 4) })),
  ]);
  expect([first?.kind, big?.kind, small?.kind]).toEqual(["accepted", "over", "accepted"]);
  expect(await billOf(database, who)).toMatchObject({ ledger: 5, stored: 2 });
});

test("the master's cap holds over its subaccounts", async () => {
  const { masterId } = await seedMaster(database, { allowance: 30 });
  const subaccounts = await Promise.all(
    Array.from({ length: 4 }, () => seedSubaccount(database, masterId, { monthlyLimit: 20 })),
  );
  const acceptor = testAcceptor(database);
  const answers = await Promise.all(
    subaccounts.flatMap((subaccountId) =>
      Array.from({ length: 15 }, () => acceptor.accept(submissionOf({ masterId, subaccountId }))),
    ),
  );
  expect(answers.filter((a) => a.kind === "accepted")).toHaveLength(30);
  expect(answers.find((a) => a.kind === "over")).toMatchObject({ kind: "over", account: "master", used: 30, cap: 30 });
});

test("a message with an illegal text is refused alone; its neighbours in the batch are accepted", async () => {
  const who = await account(null);
  const acceptor = testAcceptor(database, { concurrency: 1 });
  const answers = await Promise.all([
    acceptor.accept(submissionOf(who)), // goes first, alone, so that the others wait together
    acceptor.accept(submissionOf(who)),
    acceptor.accept(submissionOf(who, { subject: "a\0b" })),
    acceptor.accept(submissionOf(who)),
  ]);
  expect(answers.map((a) => a.kind)).toEqual(["accepted", "accepted", "failed", "accepted"]);
  expect(await billOf(database, who)).toMatchObject({ ledger: 3, stored: 3, subaccount: 3 });
});

test("a message of a period that has just ended is charged to the running one, by Postgres's clock", async () => {
  const who = await account(10);
  const stale = previousPeriod(utcMonths, periodAt(utcMonths, new Date()));
  const acceptance = await testAcceptor(database).accept(submissionOf(who, { period: stale }));
  expect(acceptance.kind).toBe("accepted");
  const { rows } = await database.pool.query("select period_start from usage_entry where subaccount_id = $1", [
    who.subaccountId,
  ]);
  expect(rows).toEqual([{ period_start: periodAt(utcMonths, new Date()).start }]);
});

test("a closed account is refused at the door, whatever the gate believed", async () => {
  const who = await account(10);
  const acceptor = testAcceptor(database);
  expect((await acceptor.accept(submissionOf(who))).kind).toBe("accepted");
  await database.pool.query("update subaccount set state = 'closed' where id = $1", [who.subaccountId]);
  expect((await acceptor.accept(submissionOf(who))).kind).toBe("closed");
  expect(await billOf(database, who)).toMatchObject({ ledger: 1, stored: 1 });
});

test("mail with room in memory is handed over under its lease; mail of a held tenant is not", async () => {
  const who = await account(10);
  const acceptor = testAcceptor(database, { room: true, owner: 7 });
  await acceptor.accept(submissionOf(who));
  await database.pool.query("insert into hold values ($1, pm_now())", [who.subaccountId]);
  await acceptor.accept(submissionOf(who));
  expect(acceptor.fresh).toHaveLength(1);
  const { rows } = await database.pool.query(
    "select owner, attempt from queue where subaccount_id = $1 order by message_id",
    [who.subaccountId],
  );
  expect(rows).toEqual([
    { owner: 7, attempt: 1 },
    { owner: null, attempt: 0 },
  ]);
});

test("a tenant whose row is locked is refused for a moment; its neighbours in the batch are accepted", async () => {
  const [stuck, free] = [await account(null), await account(null)];
  const acceptor = testAcceptor(database, { concurrency: 1 });
  await acceptor.accept(submissionOf(stuck));
  const holder = await database.pool.connect();
  await holder.query("begin");
  await holder.query("select from usage where account_id = $1 for update", [stuck.subaccountId]);
  const answers = await Promise.all([
    acceptor.accept(submissionOf(free)), // goes first, so that the others wait together
    acceptor.accept(submissionOf(stuck)),
    acceptor.accept(submissionOf(free)),
    acceptor.accept(submissionOf(stuck)),
  ]);
  await holder.query("rollback");
  holder.release();
  expect(answers.map((a) => a.kind)).toEqual(["accepted", "failed", "accepted", "failed"]);
  expect(await billOf(database, free)).toMatchObject({ ledger: 2, stored: 2 });
});
