import { expect, test } from "vitest";
import { BEFORE_ALL, type SubaccountId } from "../../src/platform/ids.ts";
import { readBody } from "../../src/spool/body.ts";
import { claim } from "../../src/spool/claim.ts";
import { release, renew } from "../../src/spool/lease.ts";
import type { Attempt, Result, Task } from "../../src/spool/message.ts";
import { expireHeld } from "../../src/spool/purge.ts";
import { settle } from "../../src/spool/settle.ts";
import { createStage } from "../../src/spool/stage.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { submissionOf, testAcceptor } from "../support/submission.ts";

const lifetimeMs = 5 * 86_400_000;
const attempt: Attempt = {
  at: "2026-11-22T00:00:00.000Z",
  outcome: "delivered",
  route: "default",
  remote: "mx.example.net",
  code: 250,
  enhanced: "2.0.0",
  reply: "Ok",
};

async function tenants(count: number) {
  const database = await testDatabase();
  const { masterId } = await seedMaster(database);
  const subaccounts = await Promise.all(Array.from({ length: count }, () => seedSubaccount(database, masterId)));
  const acceptor = testAcceptor(database);
  const send = (subaccountId: SubaccountId, recipients = ["reader@example.net"]) =>
    acceptor.accept(submissionOf({ masterId, subaccountId }, { recipients }));
  const take = (told: Partial<Parameters<typeof claim>[1]> = {}) =>
    claim(database.pool, { owner: 1, leaseMs: 60_000, limit: 64, perTenant: 4, cursor: BEFORE_ALL, ...told });
  return { database, masterId, subaccounts, send, take };
}

const delivered = (task: Task, told: Partial<Result> = {}): Result => ({
  task,
  recipients: task.recipients.map(({ n }) => ({ n, state: "delivered", attempt })),
  dueAt: null,
  route: null,
  dsn: null,
  ...told,
});

test("a tenant's backlog does not stand before another tenant's single message", async () => {
  const { subaccounts, send, take } = await tenants(2);
  const [flood, single] = subaccounts.toSorted() as [SubaccountId, SubaccountId];
  for (let i = 0; i < 30; i += 1) await send(flood);
  await send(single);
  const { tasks } = await take({ limit: 8 });
  expect(tasks.filter((t) => t.subaccountId === single)).toHaveLength(1);
  expect(tasks.filter((t) => t.subaccountId === flood)).toHaveLength(4);
});

test("the cursor goes round: with more tenants than fit into a claim each gets its turn", async () => {
  const { subaccounts, send, take } = await tenants(5);
  for (const id of subaccounts) for (let i = 0; i < 4; i += 1) await send(id);
  const seen: SubaccountId[] = [];
  let cursor: SubaccountId = BEFORE_ALL;
  for (let i = 0; i < 3; i += 1) {
    const claimed = await take({ limit: 2, perTenant: 1, cursor });
    seen.push(...claimed.tasks.map((t) => t.subaccountId));
    cursor = claimed.cursor;
  }
  expect(seen.slice(0, 4)).toEqual(subaccounts.toSorted().slice(0, 4));
  expect(new Set(seen).size).toBe(5);
});

test("two claimers never hold the same message, and a lease that ran out is claimed again", async () => {
  const { database, subaccounts, send, take } = await tenants(1);
  for (let i = 0; i < 10; i += 1) await send(subaccounts[0] as SubaccountId);
  const [a, b] = await Promise.all([take({ perTenant: 10, limit: 6 }), take({ perTenant: 10, limit: 6, owner: 2 })]);
  const ids = [...a.tasks, ...b.tasks].map((t) => t.id);
  expect(new Set(ids).size).toBe(ids.length);
  await database.pool.query("update queue set due_at = pm_now() - interval '1 second'");
  const again = await take({ perTenant: 20, owner: 3 });
  expect(again.tasks).toHaveLength(10);
  expect(new Set(again.tasks.map((t) => t.attempt)).has(2)).toBe(true);
});

test("a held tenant's mail waits, and goes on when it is let go", async () => {
  const { database, subaccounts, send, take } = await tenants(1);
  await send(subaccounts[0] as SubaccountId);
  await database.pool.query("insert into hold values ($1, pm_now())", [subaccounts[0]]);
  expect((await take()).tasks).toEqual([]);
  await database.pool.query("delete from hold");
  expect((await take()).tasks).toHaveLength(1);
});

test("an outcome is written once, by the holder of the lease only", async () => {
  const { database, subaccounts, send, take } = await tenants(1);
  await send(subaccounts[0] as SubaccountId, ["a@example.net", "b@example.net"]);
  const [task] = (await take()).tasks as [Task];
  const stranger = { ...task, attempt: 9 };
  expect(await settle(database.pool, 1, [delivered(stranger)], lifetimeMs, database.clock)).toEqual([false]);
  const mixed = delivered(task, { dueAt: new Date(Date.now() + 60_000) });
  const half: Result = {
    ...mixed,
    recipients: mixed.recipients.map((r, i) => (i === 1 ? { ...r, state: "deferred" as const } : r)),
  };
  expect(await settle(database.pool, 1, [half], lifetimeMs, database.clock)).toEqual([true]);
  expect(await settle(database.pool, 1, [half], lifetimeMs, database.clock)).toEqual([false]);
  const { rows } = await database.pool.query(
    "select state, jsonb_array_length(attempts) as n from recipient order by n, state",
  );
  expect(rows).toEqual([
    { state: "deferred", n: 1 },
    { state: "delivered", n: 1 },
  ]);
  await database.pool.query("update queue set due_at = pm_now()");
  const [again] = (await take()).tasks as [Task];
  expect(again.recipients.map((r) => r.address)).toEqual(["b@example.net"]);
  await settle(database.pool, 1, [delivered(again)], lifetimeMs, database.clock);
  const left = await database.pool.query("select count(*) from queue");
  const events = await database.pool.query("select type, data ->> 'recipient' as recipient from event order by id");
  expect(left.rows).toEqual([{ count: 0 }]);
  expect(events.rows.map((r) => r.type).sort()).toEqual(["message.deferred", "message.delivered", "message.delivered"]);
});

test("each outcome of a group stands at its own recipient, whatever the peer said; a report's own outcome tells nobody", async () => {
  const { database, subaccounts, send, take } = await tenants(1);
  const replies = ['a "quoted" \\ answer', "null", "a\\nb, {c}\u2028d", "Grüße", ""];
  for (const [i] of replies.entries()) await send(subaccounts[0] as SubaccountId, [`r${i}@example.net`]);
  const { tasks } = await take({ perTenant: replies.length });
  const kinds = ["dsn", "submitted", "dsn", "submitted", "submitted"] as const;
  const results = tasks.map((task, i) => {
    const said = { ...attempt, reply: replies[Number(task.recipients[0]?.address[1])] as string };
    return {
      ...delivered({ ...task, kind: kinds[i] as Task["kind"] }),
      recipients: [{ n: 0, state: "delivered" as const, attempt: said }],
    };
  });
  const held = await settle(database.pool, 1, results, lifetimeMs, database.clock);
  expect(held).toEqual(replies.map(() => true));
  const stored = await database.pool.query("select attempts -> 0 ->> 'reply' as reply from recipient order by address");
  expect(stored.rows.map((row) => row.reply)).toEqual(replies);
  const events = await database.pool.query("select message_id as id, data ->> 'recipient' as address from event");
  const told = results.filter(({ task }) => task.kind === "submitted").map(({ task }) => task);
  expect(new Map(events.rows.map((row) => [row.id, row.address]))).toEqual(
    new Map(told.map((task) => [task.id, task.recipients[0]?.address])),
  );
});

test("a report is stored with the outcome that causes it, and not at all for a lease that was lost", async () => {
  const { database, masterId, subaccounts, send, take } = await tenants(1);
  const subaccountId = subaccounts[0] as SubaccountId;
  await send(subaccountId);
  const [task] = (await take()).tasks as [Task];
  const dsn = {
    id: submissionOf({ masterId, subaccountId }).id,
    kind: "dsn" as const,
    masterId,
    subaccountId,
    sender: "",
    recipients: ["app@customer.example"],
    bytes: Buffer.from("Subject: Undelivered\r\n\r\n"),
    smtpUtf8: false,
  };
  const bounced = (t: Task): Result => ({
    ...delivered(t, { dsn }),
    recipients: [{ n: 0, state: "bounced", attempt: { ...attempt, outcome: "bounced", code: 550 } }],
  });
  await settle(database.pool, 1, [bounced({ ...task, attempt: 5 })], lifetimeMs, database.clock);
  expect((await take()).tasks).toEqual([]);
  await settle(database.pool, 1, [bounced(task)], lifetimeMs, database.clock);
  const [report] = (await take()).tasks as [Task];
  expect(report).toMatchObject({ kind: "dsn", sender: "", attempt: 1 });
  expect(report.recipients.map((r) => r.address)).toEqual(["app@customer.example"]);
});

test("leases are renewed for those who still hold them, and given back without counting an attempt", async () => {
  const { database, subaccounts, send, take } = await tenants(1);
  await send(subaccounts[0] as SubaccountId);
  const { tasks } = await take();
  expect(await renew(database.pool, 1, tasks, 60_000)).toEqual(new Set(tasks.map((t) => t.id)));
  expect(await renew(database.pool, 2, tasks, 60_000)).toEqual(new Set());
  await release(database.pool, 1, tasks, 0);
  expect((await take()).tasks[0]?.attempt).toBe(1);
});

test("a large body is read back as it was written ahead", async () => {
  const { database, masterId, subaccounts } = await tenants(1);
  const message = submissionOf(
    { masterId, subaccountId: subaccounts[0] as SubaccountId },
    { bodyParts: 3, sizeBytes: 3_000_000 },
  );
  const stage = createStage(database.pool, message.id);
  await stage.write([Buffer.alloc(1_000_000, "a")]);
  await stage.write([Buffer.alloc(1_000_000, "b")]);
  await testAcceptor(database).accept(message);
  const pieces: Uint8Array[] = [];
  for await (const piece of readBody(database.pool, message.id, 3)) pieces.push(piece);
  const text = Buffer.concat(pieces).toString("latin1");
  expect(text.replace(/(a+)(b+)$/, (_, a: string, b: string) => ` ${a.length} ${b.length}`)).toMatch(
    /^S.* 1000000 1000000$/s,
  );
});

test("a held tenant's mail that outlives its time is taken to be returned, what has time left waits", async () => {
  const { database, subaccounts, send, take } = await tenants(1);
  for (let i = 0; i < 3; i += 1) await send(subaccounts[0] as SubaccountId);
  await database.pool.query("insert into hold values ($1, pm_now())", [subaccounts[0]]);
  await database.pool.query(
    "update queue set expires_at = pm_now() - interval '1 second' where message_id = (select min(message_id::text)::uuid from queue)",
  );
  expect((await take()).tasks).toEqual([]);
  expect(await expireHeld(database.db)).toBe(1);
  expect(await expireHeld(database.db)).toBe(0);
  expect((await take()).tasks).toMatchObject([{ overdue: true }]);
  expect((await take()).tasks).toEqual([]);
});

test("a suspended master holds the queues of its subaccounts", async () => {
  const { database, masterId, subaccounts, send, take } = await tenants(1);
  await send(subaccounts[0] as SubaccountId);
  await database.pool.query("update master set suspended_at = pm_now() where id = $1", [masterId]);
  expect((await take()).tasks).toEqual([]);
  await database.pool.query("update master set suspended_at = null");
  expect((await take()).tasks).toHaveLength(1);
});
