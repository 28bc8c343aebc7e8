/** Whoever looks after an account is told when one of its log-ins is locked, by SMTP as by the page. */
import { simpleParser } from "mailparser";
import { expect, test } from "vitest";
import { createAuthenticator } from "../../src/accounts/authenticate.ts";
import { listenForChanges } from "../../src/accounts/changes.ts";
import { tellLockedOut } from "../../src/people/lockout-letter.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { tenants } from "../support/tenants.ts";

const config = {
  publicUrl: "https://relay.example",
  systemFrom: "postmeter@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: 3_600_000,
};

test("five failures of SMTP AUTH are one letter to those who hear of security, and an event; an unknown name is none", async () => {
  const { db, clock, url, pool } = await testDatabase();
  const make = tenants({ db, clock });
  const acme = await make.master({
    notificationEmails: ["ops@acme.example", { email: "bills@acme.example", topics: ["billing"] }],
  });
  const shop = await make.subaccount(acme);
  await using changes = await listenForChanges({ url, log: silentLog });
  const { smtp } = createAuthenticator({ db, keyring: make.keyring, clock, changes, operatorKey: "", log: silentLog });
  const jobs = async () =>
    (
      await pool.query(`select j.payload from graphile_worker._private_jobs j
        join graphile_worker._private_tasks t on t.id = j.task_id where t.identifier = 'locked_out'`)
    ).rows;
  for (let i = 0; i < 4; i += 1) await smtp(shop.username, "wrong", "2001:db8::1");
  for (let i = 0; i < 7; i += 1) await smtp("nobody-at-all", "wrong", "192.0.2.1");
  expect(await jobs()).toEqual([]);
  for (let i = 0; i < 4; i += 1) await smtp(shop.username, "wrong", "2001:db8::2");
  const [job, ...more] = await jobs();
  expect(more).toEqual([]);
  await tellLockedOut(db, job.payload, { clock, config });
  const { rows } =
    await pool.query(`select b.bytes, array(select address from recipient where message_id = m.id) as "to"
    from message m join body b on b.message_id = m.id where m.kind = 'system'`);
  expect(rows.map(({ to }) => to)).toEqual([["ops@acme.example"]]);
  const { subject, text } = await simpleParser(rows[0].bytes);
  expect(subject).toBe(`A log-in of ${shop.subaccount.name} is locked after five failures`);
  expect(text).toContain(shop.username);
  expect(text).toContain("2001:db8:0:0::/64");
  const events = await db
    .selectFrom("event")
    .select(["type", "subaccount_id"])
    .where("type", "=", "login.locked")
    .execute();
  expect(events).toEqual([{ type: "login.locked", subaccount_id: shop.subaccount.id }]);
});
