/** Alerts that are told together, and what rules make of single ones. */
import { randomBytes } from "node:crypto";
import { simpleParser } from "mailparser";
import { expect, test } from "vitest";
import { sendDigests } from "../../src/alerts/digest.ts";
import { notifyAlert } from "../../src/alerts/notify.ts";
import type { SubaccountId } from "../../src/platform/ids.ts";
import { createKeyring } from "../../src/platform/secrets.ts";
import { type MasterSeed, seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";

const keyring = createKeyring(randomBytes(32));
const config = {
  publicUrl: "https://relay.example",
  systemFrom: "postmeter@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: 3_600_000,
};
const DAY_MS = 86_400_000;

async function seeded(settings: Record<string, unknown> = {}, seed: MasterSeed = {}) {
  const database = await testDatabase();
  const { masterId } = await seedMaster(database, seed);
  for (const [column, value] of Object.entries(settings)) {
    await database.pool.query(`update master set ${column} = $2 where id = $1`, [masterId, value]);
  }
  const shop = await seedSubaccount(database, masterId, { name: "Corner Shop" });
  const bakery = await seedSubaccount(database, masterId, { name: "Bakery" });
  const send = (subaccountId: SubaccountId, units: number) => acceptUnits(database, { masterId, subaccountId }, units);
  const notify = async () => {
    const { rows } = await database.pool.query("select payload from graphile_worker._private_jobs order by id");
    for (const { payload } of rows) await notifyAlert(database.db, payload, { clock: database.clock, config, keyring });
  };
  return { database, masterId, shop, bakery, send, notify };
}

const digest = (database: TestDatabase) => sendDigests(database.db, { clock: database.clock, config });

async function mails({ pool }: TestDatabase) {
  const { rows } = await pool.query<{ bytes: Buffer; recipients: string[] }>(
    `select b.bytes, (select array_agg(address order by n) from recipient where message_id = m.id) as recipients
       from message m join body b on b.message_id = m.id where m.kind = 'system' order by m.id`,
  );
  return Promise.all(rows.map(async ({ bytes, recipients }) => ({ recipients, mail: await simpleParser(bytes) })));
}

test("with a daily digest all that happened is one letter, at eight in the master's zone, text and HTML alike", async () => {
  const { database, shop, bakery, send, notify } = await seeded({ alert_delivery: "daily" });
  await send(shop, 80);
  await send(shop, 10);
  await send(bakery, 96);
  await notify();
  await notify();
  expect(await mails(database)).toEqual([]);
  expect(await digest(database)).toBe(0);
  await using tomorrow = await later(database, DAY_MS);
  expect(await digest(tomorrow)).toBe(1);
  expect(await digest(tomorrow)).toBe(0);
  const [sent, ...more] = await mails(database);
  expect(more).toEqual([]);
  expect(sent?.recipients).toEqual(["ops@acme.example"]);
  expect(sent?.mail.subject).toBe("3 alerts of 2 accounts");
  const lines = [
    "Corner Shop has used 80 % of its monthly limit",
    "Corner Shop has used 90 % of its monthly limit",
    "Bakery has used 95 % of its monthly limit",
  ];
  for (const body of [sent?.mail.text ?? "", sent?.mail.html || ""]) {
    const at = lines.map((line) => body.indexOf(line));
    expect(at.every((place) => place > 0)).toBe(true);
    expect([...at].sort((a, b) => a - b)).toEqual(at);
  }
});

test("after a change of time zone has taken effect, eight o'clock and all instants are those of the new zone", async () => {
  const { database, masterId, shop, send, notify } = await seeded({ alert_delivery: "daily" });
  await database.pool.query(
    `update master set next_anchor_day = 1, next_time_zone = 'Asia/Tokyo', calendar_changes_at = pm_now() - interval '1 minute' where id = $1`,
    [masterId],
  );
  await send(shop, 80);
  await notify();
  const { rows } = await database.pool.query(
    "select to_char(digest_at at time zone 'Asia/Tokyo', 'HH24:MI') as at from alert",
  );
  expect(rows).toEqual([{ at: "08:00" }]);
  await using tomorrow = await later(database, DAY_MS);
  expect(await digest(tomorrow)).toBe(1);
  expect((await mails(database))[0]!.mail.text).toContain("GMT+9");
});

test("what is used up is told at once all the same, unless that is switched off", async () => {
  const loud = await seeded({ alert_delivery: "weekly" });
  await loud.send(loud.shop, 85);
  await loud.send(loud.shop, 15);
  await loud.notify();
  expect((await mails(loud.database)).map(({ mail }) => mail.subject)).toEqual([
    "Corner Shop has reached its monthly limit",
  ]);
  const quiet = await seeded({ alert_delivery: "weekly", alert_urgent_immediately: false });
  await quiet.send(quiet.shop, 100);
  await quiet.notify();
  expect(await mails(quiet.database)).toEqual([]);
});

test("a rule says how, and whether: its own delivery, only some percentages, nothing at all", async () => {
  const { database, masterId, shop, bakery, send, notify } = await seeded();
  const rule = (owner: string | null, columns: Record<string, unknown>) => {
    const names = Object.keys(columns);
    return database.pool.query(
      `insert into alert_rule (id, master_id, subaccount_id, kind, name, topic, created_at, updated_at, ${names.join()})
       values (gen_random_uuid(), $1, $2, 'threshold', 'r', 'quota', now(), now(), ${names.map((_, i) => `$${i + 3}`).join()})`,
      [masterId, owner, ...Object.values(columns)],
    );
  };
  await rule(null, { enabled: true, percents: [90, 100] });
  await rule(bakery, { enabled: false });
  for (const units of [80, 11, 5]) await send(shop, units);
  await send(bakery, 100);
  await notify();
  expect((await mails(database)).map(({ mail }) => mail.subject)).toEqual([
    "Corner Shop has used 90 % of its monthly limit",
  ]);
  const { rows } = await database.pool.query(
    "select level, delivery from alert where notified_at is not null order by id",
  );
  expect(rows.map(({ level, delivery }) => [level, delivery])).toEqual([
    [80, "off"],
    [90, "immediately"],
    [95, "off"],
    [100, "off"],
  ]);
});

test("each reads of what he hears: other lists have their own digests, and a subaccount's owner only his account", async () => {
  const { database, masterId, shop, bakery, send, notify } = await seeded(
    { alert_delivery: "daily" },
    { notificationEmails: ["ops@acme.example", { email: "cfo@acme.example", topics: ["billing"] }] },
  );
  await database.pool.query("update subaccount set notification_emails = $2 where id = $1", [
    bakery,
    JSON.stringify(["flour@bakery.example"]),
  ]);
  await database.pool.query("update subaccount set owner_email = 'owner@shop.example' where id = $1", [shop]);
  await database.pool.query(
    `insert into alert_rule (id, master_id, kind, name, enabled, topic, created_at, updated_at)
     values (gen_random_uuid(), $1, 'threshold', 'all', true, 'security', now(), now())`,
    [masterId],
  );
  await send(shop, 80);
  await send(bakery, 80);
  await notify();
  await using tomorrow = await later(database, DAY_MS);
  expect(await digest(tomorrow)).toBe(3);
  const sent = (await mails(database)).map(({ recipients, mail }) => [recipients.join(), mail.text ?? ""] as const);
  const told = new Map(sent);
  expect([...told.keys()].sort()).toEqual(["flour@bakery.example", "ops@acme.example", "owner@shop.example"]);
  expect(told.get("ops@acme.example")).toContain("Corner Shop has used 80 %");
  expect(told.get("ops@acme.example")).not.toContain("Bakery");
  expect(told.get("flour@bakery.example")).toContain("Bakery has used 80 %");
  // A subaccount does not learn what its master calls it.
  expect(told.get("owner@shop.example")).toContain(`s-${shop} has used 80 %`);
  expect(told.get("owner@shop.example")).not.toContain("Corner Shop");
});

test("a digest that dies leaves no letter, several at once write one; control: without its mark there is another", async () => {
  const { database, shop, send, notify } = await seeded({ alert_delivery: "daily" });
  await send(shop, 80);
  await notify();
  await using tomorrow = await later(database, DAY_MS);
  await database.pool.query(`create function stop() returns trigger language plpgsql as $$ begin raise exception 'power cut'; end $$;
    create constraint trigger stop after update on alert deferrable initially deferred for each row execute function stop()`);
  await expect(digest(tomorrow)).rejects.toThrow("power cut");
  expect(await mails(database)).toEqual([]);
  await database.pool.query("drop trigger stop on alert");
  await Promise.all([digest(tomorrow), digest(tomorrow), digest(tomorrow)]);
  expect(await mails(database)).toHaveLength(1);
  await database.pool.query("update alert set notified_at = null; delete from alert_letter");
  expect(await digest(tomorrow)).toBe(1);
});

test.for([
  ["2026-11-27T06:00:00Z", "UTC", "daily", "2026-11-27T08:00:00Z"],
  ["2026-11-27T08:00:00Z", "UTC", "daily", "2026-11-28T08:00:00Z"],
  ["2026-11-27T07:30:00Z", "Europe/Berlin", "daily", "2026-11-28T07:00:00Z"],
  ["2026-03-28T12:00:00Z", "Europe/Berlin", "daily", "2026-03-29T06:00:00Z"], // summer time begins in the night
  ["2026-10-24T12:00:00Z", "Europe/Berlin", "daily", "2026-10-25T07:00:00Z"], // and ends
  ["2026-11-27T06:00:00Z", "UTC", "weekly", "2026-11-30T08:00:00Z"], // Friday -> Monday
  ["2026-11-30T07:59:59Z", "UTC", "weekly", "2026-11-30T08:00:00Z"],
  ["2026-11-30T08:00:00Z", "UTC", "weekly", "2026-12-07T08:00:00Z"],
  ["2026-11-29T23:00:00Z", "Pacific/Auckland", "weekly", "2026-12-06T19:00:00Z"], // Monday noon there
  ["2026-11-27T00:00:00Z", "Asia/Kathmandu", "daily", "2026-11-27T02:15:00Z"],
] as const)("at %s in %s the next %s digest is at %s", async ([now, zone, how, at]) => {
  const { pool } = await clockOnly;
  const { rows } = await pool.query("select digest_at($1, $2, $3) as at", [now, zone, how]);
  expect(rows[0].at.toISOString()).toBe(new Date(at).toISOString());
});

const clockOnly = testDatabase({ max: 1 });
