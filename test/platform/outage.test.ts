import { expect, test } from "vitest";
import { connectionProblem, isOutage, mayHaveCommitted } from "../../src/platform/outage.ts";
import { inTransaction } from "../../src/platform/transaction.ts";
import { testDatabase } from "../support/database.ts";

const { db, pool } = await testDatabase();
const failure = (text: string) => pool.query(text).then(Promise.reject.bind(Promise), (error: unknown) => error);

test.each([
  ["a statement that was cancelled", "set statement_timeout = 1; select pg_sleep(1)", false],
  ["a connection that was ended", "select pg_terminate_backend(pg_backend_pid())", true],
  ["too little of something", "do $$ begin raise exception using errcode = '53300'; end $$", false],
  ["a deadlock", "do $$ begin raise exception using errcode = '40P01'; end $$", false],
  ["a lock that is not given", "do $$ begin raise exception using errcode = '55P03'; end $$", false],
])("%s may go better in a moment; only a lost connection leaves open what was done", async (_, text, open) => {
  const error = await failure(text);
  expect(isOutage(error)).toBe(true);
  expect(mayHaveCommitted(error)).toBe(open);
});

test.each([
  [{ code: "ECONNREFUSED", syscall: "connect" }, "connect ECONNREFUSED", false],
  [{}, "timeout exceeded when trying to connect", false],
  [{ code: "ECONNRESET", syscall: "read" }, "read ECONNRESET", true],
  [{ code: "EPIPE", syscall: "write" }, "write EPIPE", true],
  [{}, "Connection terminated unexpectedly", true],
])("%j leaves open what was done only when a call was under way", (more, message, open) => {
  expect(mayHaveCommitted(Object.assign(new Error(message), more))).toBe(open);
});

test("no way to PostgreSQL is told in words; a mistake in the program is not taken for it", async () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), {
    code: "ECONNREFUSED",
    syscall: "connect",
  });
  expect(connectionProblem(refused)).toBe("PostgreSQL can't be reached: connect ECONNREFUSED 127.0.0.1:1");
  const stranger = Object.assign(new Error('password authentication failed for user "x"'), { code: "28P01" });
  expect(connectionProblem(stranger)).toBe('PostgreSQL lets nobody in: password authentication failed for user "x"');
  expect(connectionProblem(await failure("select 1/0"))).toBeUndefined();
  expect(connectionProblem("28P01")).toBeUndefined();
});

test.each(["select nothing_like_this", "select 1/0", "do $$ begin raise exception using errcode = '23505'; end $$"])(
  "%s is a mistake, and will go wrong again",
  async (text) => {
    expect(isOutage(await failure(text))).toBe(false);
  },
);

test("what is no error, or no error of ours, is no outage", () => {
  for (const value of [undefined, null, "57014", { code: "57014" }, new Error("x"), new TypeError("fetch failed")]) {
    expect(isOutage(value)).toBe(false);
  }
});

test("a verb joins its caller's transaction: both are undone together", async () => {
  const name = "outage-test";
  const insert = (trx: typeof db) =>
    trx.insertInto("node").values({ hostname: name, pid: 1, started_at: new Date(), seen_at: new Date() }).execute();
  const whole = inTransaction(db, async (trx) => {
    await inTransaction(trx, insert);
    throw new Error("undo");
  });
  await expect(whole).rejects.toThrow("undo");
  expect(await db.selectFrom("node").select("id").where("hostname", "=", name).execute()).toEqual([]);
  await inTransaction(db, insert);
  expect((await db.selectFrom("node").select("id").where("hostname", "=", name).execute()).length).toBe(1);
});
