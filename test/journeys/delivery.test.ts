/** What comes of accepted mail: tried again when it was deferred, returned to its sender when it bounced. */
import { beforeAll, expect, test } from "vitest";
import { createTenant, eventually, mailer, type Tenant } from "../support/relay.ts";
import { openScene } from "./scene.ts";

let busyTries = 0;
const scene = await openScene({
  script: {
    rcpt(line) {
      if (line.includes("nobody@")) return "550 5.1.1 No such user here";
      if (line.includes("busy@") && busyTries++ < 2) return "451 4.2.0 Try again in a moment";
      return line.includes("never@") ? "451 4.7.1 Not now" : undefined;
    },
  },
  env: { POSTMETER_RETRY_SCHEDULE: "1s", POSTMETER_QUEUE_LIFETIME: "6s" },
});
const { relay, upstream } = scene;
let tenant: Tenant;

beforeAll(async () => {
  tenant = await createTenant(relay, { limit: 100 });
});

type Recipient = { address: string; state: string; attempts: { outcome: string; code: number }[] };

async function send(to: string[]): Promise<string> {
  const sent = await mailer(relay, tenant).sendMail({
    from: "app@customer.example",
    to,
    subject: "Hello",
    text: "Hello.",
  });
  return sent.response.split(" ").at(-1) ?? "";
}

/** The recipients of a message once it has no work left. */
function outcome(id: string): Promise<Recipient[]> {
  return eventually(
    async () => {
      const { body } = await relay.call("GET", `/v1/messages/${id}`, undefined, { key: tenant.masterKey });
      return body.state !== "queued" && body.recipients;
    },
    `${id} is done`,
    60_000,
  );
}

/** Reports that went to the sender about a message. */
async function reports(id: string) {
  const about = () => upstream.received.filter(({ bytes }) => bytes.includes(`X-Postmeter-Message: ${id}`));
  await eventually(async () => about().length > 0, "a report goes to the sender");
  return about();
}

const used = async () =>
  (await relay.call("GET", `/v1/subaccounts/${tenant.subaccountId}/usage`, undefined, { key: tenant.masterKey })).body
    .used;

test("a recipient that bounces is returned to the sender, the others are delivered, all stay charged", async () => {
  const id = await send(["reader@example.net", "nobody@example.net"]);
  expect(await outcome(id)).toEqual([
    expect.objectContaining({ address: "reader@example.net", state: "delivered" }),
    expect.objectContaining({ address: "nobody@example.net", state: "bounced" }),
  ]);
  const [report, ...more] = await reports(id);
  expect(more).toEqual([]);
  expect(report).toMatchObject({ rcpt: [expect.stringContaining("<app@customer.example>")] });
  expect(report!.mail).toMatch(/^MAIL FROM:<>/);
  const text = report!.bytes.toString();
  expect(text).toMatch(/^Subject: Undelivered mail returned to sender\r$/m);
  expect(text).toMatch(/^Final-Recipient: rfc822; nobody@example\.net\r$/m);
  expect(text).toMatch(/^Action: failed\r$/m);
  expect(text).toMatch(/^Status: 5\.1\.1\r$/m);
  expect(await used()).toBe(2);
});

test("a recipient that is deferred is tried again until it is delivered, and nobody else gets a second copy", async () => {
  const id = await send(["first@example.net", "busy@example.net"]);
  const recipients = await outcome(id);
  expect(recipients.map(({ state }) => state)).toEqual(["delivered", "delivered"]);
  expect(recipients[1]!.attempts.map(({ outcome, code }) => [outcome, code])).toEqual([
    ["deferred", 451],
    ["deferred", 451],
    ["delivered", 250],
  ]);
  const copies = upstream.received.filter(({ rcpt }) => rcpt.some((line) => line.includes("first@")));
  expect(copies).toHaveLength(1);
  expect(await used()).toBe(4);
});

test("what is deferred until its time is over is given up and returned", async () => {
  const id = await send(["never@example.net"]);
  const [recipient] = await outcome(id);
  expect(recipient).toMatchObject({ state: "bounced" });
  expect(recipient!.attempts.length).toBeGreaterThan(2);
  expect(await reports(id)).toHaveLength(1);
  expect(await used()).toBe(5);
});
