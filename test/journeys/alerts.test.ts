/** Thresholds told by mail: once each, by system mail that goes through our own spool into the built-in mailbox. */
import { beforeAll, expect, test, vi } from "vitest";
import { openDatabase } from "../../src/platform/database.ts";
import { quiet } from "../support/arrivals.ts";
import { createDatabase } from "../support/database.ts";
import { testRedis } from "../support/redis.ts";
import { createTenant, eventually, type Relay, startRelay, type Tenant } from "../support/relay.ts";
import { startLoad } from "../support/sessions.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

const redis = await testRedis();
const databaseUrl = await createDatabase();
const database = openDatabase({ url: databaseUrl, max: 2 });
let relay: Relay;
let other: Relay;

beforeAll(async () => {
  relay = await startRelay({ databaseUrl, redisUrl: redis.url });
  other = await startRelay({ databaseUrl, redisUrl: redis.url, home: relay.home });
});

const ports = () => [relay.ports.submission, other.ports.submission];

type Mail = { id: string; subject: string; from: string; header_from: string; subaccount_id: string };

/** System mail to a master, once all jobs are done and all mail is out. */
async function letters(tenant: Tenant): Promise<Mail[]> {
  const jobs = "select count(*) as left from graphile_worker.jobs where task_identifier = 'alert'";
  await eventually(async () => (await database.pool.query(jobs)).rows[0].left === 0, "all alerts are told");
  await quiet(database);
  const headers = { "Postmeter-Account": tenant.masterId };
  const answer = await relay.call("GET", "/v1/captured?limit=100", undefined, { headers });
  return answer.body.data.filter((mail: Mail) => mail.subaccount_id.endsWith("000000001"));
}

const subjects = (mails: readonly Mail[]) => mails.map((mail) => mail.subject).sort();

test("each threshold on the way to the limit is told once, whatever races and whatever is refused", async () => {
  const tenant = await createTenant(relay, { limit: 40 });
  await startLoad({ ports, senders: [tenant], sessions: 1, messages: 60 }).done;
  await startLoad({ ports, senders: [tenant], sessions: 10, messages: 40 }).done;
  const mails = await letters(tenant);
  expect(subjects(mails)).toEqual([
    "Corner Shop has reached its monthly limit",
    "Corner Shop has used 80 % of its monthly limit",
    "Corner Shop has used 90 % of its monthly limit",
    "Corner Shop has used 95 % of its monthly limit",
  ]);
  expect(mails.every((mail) => mail.from === "postmeter@relay.example")).toBe(true);
  const { text } = await relay.call("GET", `/v1/captured/${mails[0]!.id}/raw`);
  expect(text).toMatch(/^From: Postmeter <postmeter@relay\.example>$/m);
  expect(text).toMatch(/^To: ops@acme\.example$/m);
  const bases = [relay, other].map(({ ports }) => `http://127.0.0.1:${ports.http}/`);
  const unfolded = text.replace(/=\r?\n/g, ""); // quoted-printable breaks long lines
  expect(bases.filter((base) => unfolded.includes(base))).toHaveLength(1); // of the node that wrote it
});

test("one message over several thresholds tells the highest; a raised limit arms them again", async () => {
  const tenant = await createTenant(relay, { limit: 20 });
  await startLoad({ ports, senders: [tenant], sessions: 1, messages: 1, units: () => 20 }).done;
  expect(subjects(await letters(tenant))).toEqual(["Corner Shop has reached its monthly limit"]);
  const path = `/v1/subaccounts/${tenant.subaccountId}`;
  await relay.call("PATCH", path, { monthly_limit: 50 }, { key: tenant.masterKey });
  await startLoad({ ports, senders: [tenant], sessions: 1, messages: 1, units: () => 25 }).done;
  expect(subjects(await letters(tenant))).toEqual([
    "Corner Shop has reached its monthly limit",
    "Corner Shop has used 90 % of its monthly limit",
  ]);
});

test("the master is told of its own allowance, once, when twenty sessions of its subaccounts race past it", async () => {
  const tenant = await createTenant(relay, { limit: null, allowance: 50, overage: "bill" });
  await startLoad({ ports, senders: [tenant], sessions: 20, messages: 80 }).done;
  const told = subjects(await letters(tenant));
  expect(told.filter((subject) => subject.includes("has reached"))).toHaveLength(1);
  expect(new Set(told).size).toBe(told.length);
});
