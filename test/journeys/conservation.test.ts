/** The books themselves: the check that all journeys end with finds each kind of fault. */
import { beforeAll, expect, test } from "vitest";
import { createTenant, type Tenant } from "../support/relay.ts";
import type { Sent } from "../support/sessions.ts";
import { unguarded } from "../support/tampering.ts";
import { openScene } from "./scene.ts";

const scene = await openScene({
  script: { rcpt: (line) => (line.includes("reader2@") ? "550 5.1.1 No such user" : undefined) },
});
let tenant: Tenant;
let seen: Sent[];

beforeAll(async () => {
  tenant = await createTenant(scene.relay, { limit: 100 });
  const load = scene.load(tenant, { sessions: 2, messages: 6, units: (n) => 1 + (n % 3) });
  await load.done;
  seen = load.seen as Sent[];
});

/** Breaks something, looks, and puts it right again by the opposite. */
async function broken(wrong: string, right: string): Promise<readonly string[]> {
  await scene.database.pool.query(wrong);
  try {
    return (await scene.check()).faults;
  } finally {
    await scene.database.pool.query(right);
  }
}

test("books that are right show no fault", async () => {
  expect(await scene.check({ redis: "exact" })).toEqual({ faults: [], inDoubt: 0, duplicates: 0, units: 12 });
});

test("a message that is gone, one that waits for nobody, and a bounce that nobody was told of are found", async () => {
  const gone = await broken(
    "create table kept as select * from message where kind = 'submitted'; delete from message where kind = 'submitted'",
    "insert into message select * from kept; drop table kept",
  );
  expect(gone).toContainEqual(expect.stringMatching(/^msg_\w+ was acknowledged, but is not charged$/));
  expect(gone).toContainEqual(expect.stringMatching(/arrived, but was not accepted$/));
  const waits = await broken(
    "update recipient set state = 'queued' where address = 'reader0@example.net'",
    "update recipient set state = 'delivered' where address = 'reader0@example.net'",
  );
  expect(waits).toContainEqual(expect.stringMatching(/reader0@example.net is queued, but not in the queue: lost$/));
  const untold = await broken(
    "update message set kind = 'system' where kind = 'dsn'",
    "update message set kind = 'dsn' where kind = 'system'",
  );
  expect(untold).toContainEqual(expect.stringMatching(/^msg_\w+ bounced without a report$/));
});

test("a wrong counter, a wrong entry and a passed limit are found", async () => {
  await unguarded(scene.database);
  const counter = await broken("update usage set used = used + 1", "update usage set used = used - 1");
  expect(counter).toContainEqual(expect.stringMatching(/^sub_\w+ from \S+: its counter says 13, the ledger 12$/));
  expect(counter).toContainEqual(expect.stringMatching(/^ledger verify, counters: sub_\w+ /));
  const entry = await broken("update usage_entry set units = units + 1", "update usage_entry set units = units - 1");
  expect(entry).toContainEqual(expect.stringMatching(/^msg_\w+ has 1 recipients, 2 units$/));
  expect(entry).toContainEqual(expect.stringMatching(/^ledger verify, messages: msg_\w+ /));
  const cap = await broken(
    "update usage set cap = 11 where account_id <> master_id",
    "update usage set cap = 100 where account_id <> master_id",
  );
  expect(cap).toContainEqual(expect.stringMatching(/^sub_\w+ has used 12 of 11$/));
});

test("what clients saw and what the ledger says are held against each other", async () => {
  const one = seen[0] as { -readonly [K in keyof Sent]: Sent[K] };
  const was = one.knowledge;
  one.knowledge = "refused";
  expect((await scene.check()).faults).toContainEqual(expect.stringMatching(/^msg_\w+ is charged, but was refused/));
  one.knowledge = "unknown";
  expect(await scene.check()).toMatchObject({ faults: [], inDoubt: 1 });
  one.knowledge = was;
  const forged: Sent = { ...one, marker: "never@load.example", messageId: "msg_01h2xcejqtf2nbrexx3vqjhp41" };
  seen.push(forged);
  expect((await scene.check()).faults).toContainEqual(expect.stringMatching(/^msg_\w+ was acknowledged, but is not/));
  seen.pop();
});

test("Redis is held against the rows", async () => {
  const { redis } = scene.redis!;
  const [key = ""] = await redis.keys("pm:*");
  const [name = ""] = Object.keys(await redis.hgetall(key)).filter((field) => field.startsWith("u"));
  await redis.hincrby(key, name, 1);
  const { faults } = await scene.check({ redis: "exact", again: true });
  expect(faults).toEqual([expect.stringMatching(/: Redis says 13, its row 12$/)]);
});
