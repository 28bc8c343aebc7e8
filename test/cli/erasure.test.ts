/** `postmeter subaccount erase|purge`. */
import { expect, test } from "vitest";
import { houseWithAccounts, runWith } from "./house.ts";

test("a closed one is erased here and now, or by a running node; its figures stay", async () => {
  const { database, run, json, sub, subaccountId } = await houseWithAccounts();
  const open = await run("subaccount", "erase", sub);
  expect([open.code, open.err]).toEqual([1, expect.stringContaining("close it first")]);
  await json("subaccount", "close", sub);
  const begun = await json("subaccount", "erase", sub);
  expect(begun).toMatchObject({ id: expect.stringMatching(/^era_/), state: "running", done: 0, finished_at: null });
  const jobs = await database.pool.query("select from graphile_worker._private_jobs where key like 'erase:%'");
  expect(jobs.rowCount).toBe(1);
  const done = await json("subaccount", "erase", sub, "--wait");
  expect(done).toMatchObject({ id: begun.id, state: "done", purge: false });
  const { rows } = await database.pool.query("select erased_at, owner_email from subaccount where id = $1", [
    subaccountId,
  ]);
  expect(rows).toEqual([{ erased_at: expect.any(Date), owner_email: null }]);
  const text = await run("subaccount", "show", sub);
  expect([text.code, text.out]).toEqual([0, expect.stringContaining("erased")]);
});

test("a purge says what would go, waits for the retention, and is the end", async () => {
  const { database, env, run, json, sub, subaccountId } = await houseWithAccounts();
  await json("subaccount", "close", sub);
  const early = await run("subaccount", "purge", sub, "--dry-run");
  expect([early.code, early.err]).toEqual([1, expect.stringContaining("kept for a while")]);
  const late = { ...env, POSTMETER_RETENTION_CLOSED: "0s" };
  const dry = await runWith(late, "subaccount", "purge", sub, "--dry-run", "--json");
  expect(JSON.parse(dry.out)).toMatchObject({ erasure: null, contents: { messages: 0, audit_entries: 1 } });
  const before = await database.pool.query("select from erasure");
  expect(before.rowCount).toBe(0);
  const purged = await runWith(late, "subaccount", "purge", sub, "--wait", "--json");
  expect([purged.code, JSON.parse(purged.out)]).toMatchObject([
    0,
    { contents: null, erasure: { state: "done", purge: true } },
  ]);
  const { rows } = await database.pool.query("select purged_at from subaccount where id = $1", [subaccountId]);
  expect(rows).toEqual([{ purged_at: expect.any(Date) }]);
});

test("no such account, or no id at all, is told by the exit code", async () => {
  const { run } = await houseWithAccounts();
  const stranger = await run("subaccount", "erase", "sub_01kb2m5xj7e1fr0x4m4f6a0z3q");
  expect([stranger.code, stranger.err]).toEqual([1, expect.stringContaining("There is no such subaccount")]);
  expect((await run("subaccount", "purge", "mas_01kb2m5xj7e1fr0x4m4f6a0z3q")).code).toBe(2);
});
