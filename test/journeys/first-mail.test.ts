import { beforeAll, expect, test } from "vitest";
import { createDatabase } from "../support/database.ts";
import { testRedis } from "../support/redis.ts";
import { createTenant, eventually, mailer, type Relay, startRelay, type Tenant } from "../support/relay.ts";

const redis = await testRedis();
let relay: Relay;
let tenant: Tenant;

beforeAll(async () => {
  relay = await startRelay({ databaseUrl: await createDatabase(), redisUrl: redis.url });
  tenant = await createTenant(relay, { limit: 3 });
});

const send = (to: string | string[], subject = "Hello") =>
  mailer(relay, tenant).sendMail({ from: "app@customer.example", to, subject, text: "Hello.", html: "<p>Hello.</p>" });

test("a first mail is accepted, captured, and shows in the usage", async () => {
  const sent = await send("reader@example.net");
  expect(sent.response).toMatch(/^250 2\.0\.0 Accepted as msg_[0-9a-z]{26}$/);
  const id = sent.response.split(" ").at(-1);
  const captured = await eventually(async () => {
    const list = await relay.call("GET", "/v1/captured", undefined, { key: tenant.masterKey });
    return list.body.data[0];
  }, "the mail is in the mailbox");
  expect(captured).toMatchObject({ subject: "Hello" });
  const raw = await relay.call("GET", `/v1/captured/${captured.id}/raw`, undefined, { key: tenant.masterKey });
  expect(raw.text).toContain("Received: from");
  const message = await eventually(async () => {
    const shown = await relay.call("GET", `/v1/messages/${id}`, undefined, { key: tenant.masterKey });
    return shown.body.state === "delivered" && shown.body;
  }, "the message is shown as delivered");
  expect(message).toMatchObject({ id, units: 1, recipients: [{ address: "reader@example.net", state: "delivered" }] });
  const usage = await relay.call("GET", `/v1/subaccounts/${tenant.subaccountId}/usage`, undefined, {
    key: tenant.masterKey,
  });
  expect(usage.body).toMatchObject({ used: 1, limit: 3, remaining: 2, blocked_by: null });
  const master = await relay.call("GET", "/v1/usage", undefined, { key: tenant.masterKey });
  expect(master.body).toMatchObject({ used: 1 });
});

test("what does not fit is refused whole and says how much is left; what fits is accepted; then the limit is reached", async () => {
  await expect(send(["a@example.net", "b@example.net", "c@example.net"])).rejects.toThrow(
    /550 5\.4\.5 3 recipients, but only 2 of 3 left until \S+ \[QUOTA-SUBACCOUNT\]/,
  );
  await send(["a@example.net", "b@example.net"]);
  await expect(send("d@example.net")).rejects.toThrow(
    /550 5\.4\.5 Monthly limit reached: 3 of 3 used, resets \d{4}-\d\d-\d\dT\S+Z \[QUOTA-SUBACCOUNT\]/,
  );
  const usage = await relay.call("GET", `/v1/subaccounts/${tenant.subaccountId}/usage`, undefined, {
    key: tenant.masterKey,
  });
  expect(usage.body).toMatchObject({ used: 3, remaining: 0 });
});

test("a top-up opens the door for this period, at once", async () => {
  const path = `/v1/subaccounts/${tenant.subaccountId}`;
  const topUp = await relay.call("POST", `${path}/top_ups`, { units: 1, note: "goodwill" }, { key: tenant.masterKey });
  expect(topUp.status).toBe(201);
  await send("e@example.net");
  await expect(send("f@example.net")).rejects.toThrow(/Monthly limit reached: 4 of 4/);
  const usage = await relay.call("GET", `${path}/usage`, undefined, { key: tenant.masterKey });
  expect(usage.body).toMatchObject({ used: 4, limit: 3, top_up: 1, remaining: 0 });
});

test("a closed subaccount is refused in the session that is open, and at its next AUTH", async () => {
  const other = await createTenant(relay, { limit: 10 });
  const kept = mailer(relay, other, true);
  const mail = { from: "app@customer.example", to: "reader@example.net", text: "Hello." };
  await kept.sendMail(mail);
  const closed = await relay.call("POST", `/v1/subaccounts/${other.subaccountId}/close`, undefined, {
    key: other.masterKey,
  });
  expect(closed.status).toBe(200);
  await expect(kept.sendMail(mail)).rejects.toThrow(/550 5\.7\.1/);
  kept.close();
  await expect(mailer(relay, other).sendMail(mail)).rejects.toThrow(/525 5\.7\.13 Account is closed/);
  await relay.call("POST", `/v1/subaccounts/${other.subaccountId}/reopen`, undefined, { key: other.masterKey });
  await mailer(relay, other).sendMail(mail);
});
