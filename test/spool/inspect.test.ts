import { expect, test } from "vitest";
import type { Principal } from "../../src/accounts/principal.ts";
import type { MessageId } from "../../src/platform/ids.ts";
import { cancelMessage, holdQueue, releaseQueue, retryMessage } from "../../src/spool/change.ts";
import { listMessages, listQueue, measureQueue, messageState, showMessage } from "../../src/spool/inspect.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { submissionOf, testAcceptor } from "../support/submission.ts";

const operator: Principal = { kind: "operator", via: "cli" };

async function two() {
  const database = await testDatabase();
  const tenant = async () => {
    const { masterId } = await seedMaster(database);
    const subaccountId = await seedSubaccount(database, masterId);
    const acceptance = await testAcceptor(database).accept(submissionOf({ masterId, subaccountId }));
    const id = (acceptance as { id: MessageId }).id;
    const principal: Principal = { kind: "master", masterId, keyId: null, scopes: ["full"] };
    return { masterId, subaccountId, id, principal };
  };
  return { database, ours: await tenant(), theirs: await tenant() };
}

test("each sees its own messages, the operator all; another tenant's id does not exist", async () => {
  const { database, ours, theirs } = await two();
  const { db } = database;
  expect((await listMessages(db, ours.principal, { limit: 10 })).map((m) => m.id)).toEqual([ours.id]);
  expect((await listMessages(db, operator, { limit: 10 })).map((m) => m.id)).toEqual([theirs.id, ours.id]);
  expect((await listQueue(db, theirs.principal, { limit: 10 })).map((m) => m.id)).toEqual([theirs.id]);
  await expect(showMessage(db, ours.principal, theirs.id)).rejects.toMatchObject({ kind: "not-found" });
  await expect(retryMessage(db, ours.principal, theirs.id, database.clock)).rejects.toMatchObject({
    kind: "not-found",
  });
  await expect(cancelMessage(db, ours.principal, theirs.id, database.clock)).rejects.toMatchObject({
    kind: "not-found",
  });
});

test("states filter what they name", async () => {
  const { database, ours } = await two();
  const count = async (state: "queued" | "cancelled" | "delivered") =>
    (await listMessages(database.db, ours.principal, { limit: 10, state })).length;
  expect([await count("queued"), await count("cancelled"), await count("delivered")]).toEqual([1, 0, 0]);
  await cancelMessage(database.db, ours.principal, ours.id, database.clock);
  expect([await count("queued"), await count("cancelled"), await count("delivered")]).toEqual([0, 1, 0]);
});

test("a cancelled message is over: its recipients say so, its queue row is gone, a second time is a conflict", async () => {
  const { database, ours } = await two();
  await cancelMessage(database.db, ours.principal, ours.id, database.clock);
  const shown = await showMessage(database.db, ours.principal, ours.id);
  expect(shown).toMatchObject({ state: "cancelled", queue: null, recipients: [{ state: "cancelled" }] });
  await expect(cancelMessage(database.db, ours.principal, ours.id, database.clock)).rejects.toMatchObject({
    kind: "conflict",
  });
});

test("a message in a worker's hands is not cancelled under it", async () => {
  const { database, ours } = await two();
  await database.pool.query("update queue set owner = 1, due_at = pm_now() + interval '1 minute'");
  await expect(cancelMessage(database.db, ours.principal, ours.id, database.clock)).rejects.toMatchObject({
    kind: "conflict",
  });
});

test("retrying makes a deferred message due now", async () => {
  const { database, ours } = await two();
  await database.pool.query("update queue set due_at = pm_now() + interval '1 hour'");
  await retryMessage(database.db, ours.principal, ours.id, database.clock);
  const shown = await showMessage(database.db, ours.principal, ours.id);
  expect(shown.queue?.dueAt.getTime()).toBeLessThanOrEqual(Date.now());
});

test("a held tenant's open recipients are shown as held, until it is let go", async () => {
  const { database, ours } = await two();
  await holdQueue(database.db, operator, ours.subaccountId, database.clock);
  expect((await showMessage(database.db, ours.principal, ours.id)).recipients[0]?.state).toBe("held");
  await releaseQueue(database.db, operator, ours.subaccountId, database.clock);
  expect((await showMessage(database.db, ours.principal, ours.id)).recipients[0]?.state).toBe("queued");
});

test("depth and age of the queue are measured", async () => {
  const { database } = await two();
  expect((await measureQueue(database.db)).depth).toBe(2);
});

test("a message's state is what its recipients have in common", () => {
  expect(messageState(["delivered", "delivered"])).toBe("delivered");
  expect(messageState(["delivered", "deferred"])).toBe("queued");
  expect(messageState(["delivered", "bounced"])).toBe("partial");
  expect(messageState(["cancelled"])).toBe("cancelled");
});
