/** What is known again as a client's retry, once, on any node; and what is not. */
import type { Pool, QueryConfig } from "pg";
import { afterAll, describe, expect, test } from "vitest";
import { listenForChanges } from "../../src/accounts/changes.ts";
import type { MessageId } from "../../src/platform/ids.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { type InDoubtDeps, openInDoubt } from "../../src/spool/in-doubt.ts";
import { PART_ZERO_BYTES, type Submission } from "../../src/spool/message.ts";
import { purge } from "../../src/spool/purge.ts";
import { createStage } from "../../src/spool/stage.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { submissionOf, testAcceptor } from "../support/submission.ts";

const database = await testDatabase();
const { pool } = database;
const { accept } = testAcceptor(database);

async function openNode(told: Partial<InDoubtDeps> = {}) {
  const changes = await listenForChanges({ url: database.url, log: silentLog });
  const metrics = createMetrics();
  const inDoubt = await openInDoubt({ pool, changes, metrics, log: silentLog, ...told });
  afterAll(async () => {
    await inDoubt[Symbol.asyncDispose]();
    await changes[Symbol.asyncDispose]();
  });
  return { ...inDoubt, changes };
}

const node = await openNode();

async function account() {
  const { masterId } = await seedMaster(database);
  return { masterId, subaccountId: await seedSubaccount(database, masterId) };
}

type Who = Awaited<ReturnType<typeof account>>;
type Told = Parameters<typeof submissionOf>[1];

let sent = 0;
/** As two tries of one message are: under other Received fields, of other lengths. */
function tryOf(who: Who, told: Told = {}, content = "Subject: Hello\r\n\r\nHello.\r\n") {
  const added = `Received: by relay.example; try ${"x".repeat(sent++ % 7)}\r\n`;
  return { addedBytes: added.length, submission: submissionOf(who, { text: added + content, ...told }) };
}

const doubtfulOf = ({ submission, addedBytes }: ReturnType<typeof tryOf>) => ({
  id: submission.id,
  subaccountId: submission.subaccountId,
  sizeBytes: submission.sizeBytes - addedBytes,
  addedBytes,
});

async function acceptInDoubt(first: ReturnType<typeof tryOf>, at = node): Promise<MessageId> {
  expect(await accept(first.submission)).toMatchObject({ kind: "accepted" });
  at.note(doubtfulOf(first));
  return first.submission.id;
}

const recognise = async ({ submission, addedBytes }: ReturnType<typeof tryOf>, at: typeof node = node) =>
  (await at.recognise(submission, addedBytes))?.id;

test("the retry is known by what the client sent, without our header, and only once", async () => {
  const who = await account();
  const id = await acceptInDoubt(tryOf(who));
  expect(await recognise(tryOf(who))).toBe(id);
  await expect
    .poll(async () => {
      expect(await recognise(tryOf(who))).toBeUndefined();
      return node.any(who.subaccountId); // once it has heard of its own row, too, it costs no statement any more
    })
    .toBe(false);
});

const two = ["a@one.example", "b@one.example"];
const parameters = { address: "a@one.example", originalRecipient: null, notify: null };

test.each<[string, Told, string?]>([
  ["another sender", { sender: "other@customer.example" }],
  ["one recipient less", { recipients: ["a@one.example"] }],
  ["another recipient", { recipients: ["a@one.example", "c@one.example"] }],
  ["other wishes for reports", { ret: "HDRS" }],
  ["another envelope id", { envelopeId: "QQ1" }],
  ["other bytes of the same length", {}, "Subject: Hello\r\n\r\nHallo.\r\n"],
  ["another length", {}, "Subject: Hello\r\n\r\nHello!!\r\n"],
])("with %s it is a message of its own, and takes nothing away from the retry", async (_, told, content) => {
  const who = await account();
  const id = await acceptInDoubt(tryOf(who, { recipients: two }));
  expect(await recognise(tryOf(who, { recipients: two, ...told }, content))).toBeUndefined();
  expect(await recognise(tryOf(who, { recipients: [...two].reverse() }))).toBe(id);
});

test("of another recipient's parameters, or another subaccount, nothing is known again", async () => {
  const who = await account();
  const other = { ...who, subaccountId: await seedSubaccount(database, who.masterId) };
  await acceptInDoubt(tryOf(who, { recipients: ["a@one.example"] }));
  const notify = tryOf(who, { recipients: ["a@one.example"] });
  const never: Submission = { ...notify.submission, recipients: [{ ...parameters, notify: "NEVER" }] };
  expect(await recognise({ ...notify, submission: never })).toBeUndefined();
  expect(await recognise(tryOf(other, { recipients: ["a@one.example"] }))).toBeUndefined();
});

test("a message that was written ahead is compared part by part", async () => {
  const who = await account();
  const large = async (last: string) => {
    const one = tryOf(who, {}, "x".repeat(PART_ZERO_BYTES));
    const [zero] = one.submission.partZero as [Buffer];
    const stage = createStage(pool, one.submission.id);
    const rest = Buffer.concat([zero.subarray(PART_ZERO_BYTES), Buffer.from(`more ${last}`)]);
    await stage.write([rest]);
    const sizeBytes = PART_ZERO_BYTES + rest.length;
    const partZero = [zero.subarray(0, 5), zero.subarray(5, PART_ZERO_BYTES)]; // our header in pieces, too
    return { ...one, submission: { ...one.submission, partZero, bodyParts: 2, sizeBytes } };
  };
  const id = await acceptInDoubt(await large("A"));
  expect(await recognise(await large("B"))).toBeUndefined();
  expect(await recognise(await large("A"))).toBe(id);
});

test("a retry whose 250 is lost as well is followed by another", async () => {
  const who = await account();
  const id = await acceptInDoubt(tryOf(who));
  for (let n = 0; n < 3; n++) {
    const { submission, addedBytes } = tryOf(who);
    const first = await node.recognise(submission, addedBytes);
    expect(first?.id).toBe(id);
    node.note(first!);
  }
});

test("a client that never waits for its 250 keeps a row alive for a day from the first one's acceptance, and no longer", async () => {
  const who = await account();
  const id = await acceptInDoubt(tryOf(who));
  const { submission, addedBytes } = tryOf(who);
  const first = await node.recognise(submission, addedBytes);
  const accepted = (ago: string) =>
    pool.query("update message set accepted_at = pm_now() - $2::interval where id = $1", [id, ago]);
  await accepted("23 hours 59 minutes");
  node.note(first!);
  await node.idle();
  const { rows } = await pool.query(
    "select until < pm_now() + interval '2 minutes' as soon from in_doubt where message_id = $1",
    [id],
  );
  expect(rows).toEqual([{ soon: true }]);
  await pool.query("delete from in_doubt where message_id = $1", [id]);
  await accepted("24 hours");
  node.note(first!);
  await node.idle();
  expect((await pool.query("select from in_doubt where message_id = $1", [id])).rowCount).toBe(0);
});

test("after a day, and after the purge, a repetition is a message of its own", async () => {
  const who = await account();
  const id = await acceptInDoubt(tryOf(who));
  await node.idle();
  const age = "update in_doubt set until = until - $2::interval where message_id = $1";
  await pool.query(age, [id, "23 hours 59 minutes"]);
  await purge(database.db, { bodiesMs: 3_600_000, messagesMs: 86_400_000, eventsMs: 86_400_000 });
  expect((await pool.query("select from in_doubt where message_id = $1", [id])).rowCount).toBe(1);
  await pool.query(age, [id, "1 minute"]);
  expect(await recognise(tryOf(who))).toBeUndefined();
  await purge(database.db, { bodiesMs: 3_600_000, messagesMs: 86_400_000, eventsMs: 86_400_000 });
  expect((await pool.query("select from in_doubt where message_id = $1", [id])).rowCount).toBe(0);
});

test("what was never stored leaves no row", async () => {
  const who = await account();
  node.note(doubtfulOf(tryOf(who)));
  await node.idle();
  expect((await pool.query("select from in_doubt where subaccount_id = $1", [who.subaccountId])).rowCount).toBe(0);
});

describe("several nodes", () => {
  test("another one hears of it, and one that starts reads it", async () => {
    const who = await account();
    const other = await openNode();
    const heard = new Promise<void>((resolve) => {
      other.changes.subscribe((change) => change.kind === "doubt" && change.id === who.subaccountId && resolve());
    });
    const id = await acceptInDoubt(tryOf(who));
    await heard;
    expect(await recognise(tryOf(who), other)).toBe(id);
    const again = await acceptInDoubt(tryOf(who));
    await node.idle();
    expect(await recognise(tryOf(who), await openNode())).toBe(again);
  });

  /** How many of eight retries, on two nodes at once, are suppressed. */
  async function race(through: Pool): Promise<number> {
    const who = await account();
    await acceptInDoubt(tryOf(who));
    await node.idle();
    const nodes = [await openNode({ pool: through }), await openNode({ pool: through })];
    const known = await Promise.all(Array.from({ length: 8 }, (_, n) => recognise(tryOf(who), nodes[n % 2]!)));
    return known.filter((id) => id !== undefined).length;
  }

  test("of retries that race on two of them one is suppressed, and the others are not lost", async () => {
    expect(await race(pool)).toBe(1);
  });

  test("control: a row that is read and not taken suppresses them all", async () => {
    const reading = (config: QueryConfig) =>
      config.name === "in_doubt_take"
        ? pool.query("select message_id, added_bytes from in_doubt where subaccount_id = $1", [config.values?.[0]])
        : pool.query(config);
    const blunt = {
      query: (text: string | QueryConfig) => (typeof text === "string" ? pool.query(text) : reading(text)),
    };
    expect(await race(blunt as unknown as Pool)).toBeGreaterThan(1);
  });
});

describe("a database that is away", () => {
  test("gets the row when it is back", async () => {
    const who = await account();
    let away = true;
    const failing = {
      query: (...args: Parameters<typeof pool.query>) =>
        away && String(args[0]).includes("from message") ? Promise.reject(new Error("away")) : pool.query(...args),
    } as unknown as Pool;
    const one = await openNode({ pool: failing });
    const id = await acceptInDoubt(tryOf(who), one);
    away = false;
    await one.idle();
    expect(await recognise(tryOf(who), one)).toBe(id);
  });

  test("can't answer a question: that is no answer", async () => {
    const who = await account();
    await acceptInDoubt(tryOf(who));
    await node.idle();
    const query = (text: unknown) => (typeof text === "string" ? pool.query(text) : Promise.reject(new Error("away")));
    const cut = await openNode({ pool: { query } as unknown as Pool });
    await expect(recognise(tryOf(who), cut)).rejects.toThrow("away");
  });
});
