/** What became of our letters: flags of addresses that bounce, and when they go. */
import { expect, test } from "vitest";
import { forgetLetters, settleLetters } from "../../src/letters/outcomes.ts";
import { sendLetter } from "../../src/letters/send.ts";
import { listUndeliverable } from "../../src/letters/undeliverable.ts";
import type { MasterId, MessageId } from "../../src/platform/ids.ts";
import { settle } from "../../src/spool/settle.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

const config = {
  publicUrl: "https://relay.example",
  systemFrom: "postmeter@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: 3_600_000,
};

async function seeded() {
  const database = await testDatabase();
  const { masterId } = await seedMaster(database, { notificationEmails: ["Ops@acme.example", "boss@acme.example"] });
  const send = (...to: string[]) => sendTo(database, masterId, to);
  const watch = () => settleLetters(database.db, database.clock);
  const flags = async () =>
    (await listUndeliverable(database.db, masterId)).map(({ email, reason }) => [email, reason]);
  return { database, masterId, send, watch, flags };
}

function sendTo({ db, clock }: TestDatabase, masterId: MasterId, to: string[]): Promise<MessageId> {
  const write = () => ({ subject: "Hello", headline: "Hello.", paragraphs: [], why: "Because." });
  const posting = {
    of: { masterId, subaccountId: null },
    to,
    reader: { language: "en", timeZone: "UTC" },
    write,
  } as const;
  return db.transaction().execute((trx) => sendLetter(trx, posting, { clock, config }));
}

type State = "delivered" | "bounced" | "deferred";

/** As the worker would, through the spool's own call. */
async function deliver(
  { pool, clock }: TestDatabase,
  id: MessageId,
  states: State[],
  reply = "no such user",
): Promise<void> {
  await pool.query("update queue set owner = 1, attempt = 1 where message_id = $1", [id]);
  const { rows } = await pool.query("select master_id, subaccount_id, sender from message where id = $1", [id]);
  const task = {
    id,
    masterId: rows[0].master_id,
    subaccountId: rows[0].subaccount_id,
    kind: "system",
    attempt: 1,
    recipients: [],
  } as never;
  const recipients = states.map((state, n) => ({
    n,
    state,
    attempt: {
      at: clock.now().toISOString(),
      outcome: state,
      route: "r",
      remote: null,
      code: 550,
      enhanced: null,
      reply,
    },
  }));
  const dueAt = states.includes("deferred") ? clock.now() : null;
  expect(await settle(pool, 1, [{ task, recipients, dueAt, route: null, dsn: null }], 1000, clock)).toEqual([true]);
}

const events = async ({ pool }: TestDatabase) =>
  (await pool.query("select subaccount_id, data from event where type = 'notification.bounced' order by id")).rows;

test("an address at which a letter bounces is flagged, with the answer, and told once; a delivered letter takes the flag away", async () => {
  const { database, send, watch, flags } = await seeded();
  const first = await send("Ops@acme.example", "boss@acme.example");
  expect(await watch()).toBe(0);
  await deliver(database, first, ["bounced", "delivered"], "5.1.1 No such user");
  expect(await watch()).toBe(1);
  expect(await flags()).toEqual([["ops@acme.example", "5.1.1 No such user"]]);
  expect(await events(database)).toEqual([
    { subaccount_id: null, data: { email: "ops@acme.example", reason: "5.1.1 No such user" } },
  ]);
  const second = await send("ops@acme.example");
  await deliver(database, second, ["bounced"], "5.2.1 Closed");
  expect(await watch()).toBe(1);
  expect(await flags()).toEqual([["ops@acme.example", "5.2.1 Closed"]]);
  expect(await events(database)).toHaveLength(1);
  const third = await send("ops@acme.example");
  await deliver(database, third, ["delivered"]);
  expect(await watch()).toBe(1);
  expect(await flags()).toEqual([]);
  expect(await watch()).toBe(0);
});

test("a letter that waits for another try is open still, and flags nothing", async () => {
  const { database, send, watch, flags } = await seeded();
  const id = await send("ops@acme.example");
  await deliver(database, id, ["deferred"]);
  expect(await watch()).toBe(0);
  expect(await flags()).toEqual([]);
  await deliver(database, id, ["bounced"]);
  expect(await watch()).toBe(1);
  expect(await flags()).toHaveLength(1);
});

test("the flag goes when the address does, of a master or of a subaccount, and not when another one changes", async () => {
  const { database, masterId, send, watch, flags } = await seeded();
  const shop = await seedSubaccount(database, masterId);
  await database.pool.query(
    `update subaccount set owner_email = 'owner@shop.example', notification_emails = '[{"email": "Till@shop.example", "topics": ["quota"]}]' where id = $1`,
    [shop],
  );
  const id = await send("Ops@acme.example", "owner@shop.example", "till@shop.example");
  await deliver(database, id, ["bounced", "bounced", "bounced"]);
  await watch();
  expect((await flags()).map(([email]) => email).sort()).toEqual([
    "ops@acme.example",
    "owner@shop.example",
    "till@shop.example",
  ]);
  const change = (table: string, column: string, value: string, id: string) =>
    database.pool.query(`update ${table} set ${column} = $1 where id = $2`, [value, id]);
  await change("master", "notification_emails", '["ops@acme.example", "new@acme.example"]', masterId);
  await change("subaccount", "name", "Renamed", shop);
  expect(await flags()).toHaveLength(3);
  await change("master", "notification_emails", '["new@acme.example"]', masterId);
  await change("subaccount", "owner_email", "other@shop.example", shop);
  expect((await flags()).map(([email]) => email)).toEqual(["till@shop.example"]);
  await database.pool.query("update subaccount set notification_emails = null where id = $1", [shop]);
  expect(await flags()).toEqual([]);
});

test("a run that dies flags nothing and the next one does; two at once tell once", async () => {
  const { database, send, watch, flags } = await seeded();
  await deliver(database, await send("ops@acme.example"), ["bounced"]);
  await database.pool.query(`create function stop() returns trigger language plpgsql as $$ begin raise exception 'power cut'; end $$;
    create constraint trigger stop after update on letter deferrable initially deferred for each row execute function stop()`);
  await expect(watch()).rejects.toThrow("power cut");
  expect([await flags(), await events(database)]).toEqual([[], []]);
  await database.pool.query("drop trigger stop on letter");
  await Promise.all([watch(), watch(), watch()]);
  expect([(await flags()).length, (await events(database)).length]).toEqual([1, 1]);
});

test("letters are forgotten when they are old and have come to their end", async () => {
  const { database, send, watch } = await seeded();
  await deliver(database, await send("ops@acme.example"), ["delivered"]);
  await send("ops@acme.example");
  await watch();
  await database.pool.query("update letter set sent_at = sent_at - interval '2 days'");
  expect(await forgetLetters(database.db, 86_400_000)).toBe(1);
  expect((await database.pool.query("select from letter")).rowCount).toBe(1);
});
