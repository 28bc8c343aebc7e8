/** Erasing closed accounts: what is gone is gone, and what was charged stays as it was. */
import { expect, test } from "vitest";
import { changeMaster } from "../../src/accounts/change-master.ts";
import { changeSubaccount } from "../../src/accounts/change-subaccount.ts";
import { findSubaccount } from "../../src/accounts/find.ts";
import { createKey } from "../../src/accounts/keys.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { changeBrand } from "../../src/branding/change.ts";
import { addDomain } from "../../src/domains/add.ts";
import { sendLetter } from "../../src/letters/send.ts";
import { eraseSlice, finishErasure, reviveErasures } from "../../src/lifecycle/erase.ts";
import { findErasure } from "../../src/lifecycle/erasure.ts";
import { offerTransfer } from "../../src/lifecycle/offer-transfer.ts";
import { eraseSubaccount, purgeSubaccount } from "../../src/lifecycle/start-erasure.ts";
import { closeDue } from "../../src/metering/close-due.ts";
import { readUsage } from "../../src/metering/usage.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { createLink } from "../../src/people/links.ts";
import { insertMember } from "../../src/people/members.ts";
import type { Database } from "../../src/platform/database.ts";
import type { SubaccountId } from "../../src/platform/ids.ts";
import { newId } from "../../src/platform/ids.ts";
import { addTopUp } from "../../src/quota/top-up.ts";
import { answerReview } from "../../src/reviews/answer.ts";
import { closeReview, openReview } from "../../src/reviews/open.ts";
import { enqueue } from "../../src/spool/enqueue.ts";
import { testDatabase } from "../support/database.ts";
import { later } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { submissionOf, testAcceptor } from "../support/submission.ts";
import { operator, type TestMaster, tenants } from "../support/tenants.ts";

const DAY_MS = 86_400_000;
/** Stands in each text of the account, and nowhere else. */
const MARK = "zebrafish";
const config = {
  publicUrl: "http://relay.example",
  systemFrom: "postmeter@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: 3_600_000,
};

async function world() {
  const database = await testDatabase();
  const { db, clock, pool } = database;
  const make = tenants(database);
  const [acme, beta] = [await make.master(), await make.master({ name: "Beta" })];
  const shop = await make.subaccount(acme, {
    ownerName: `Anna ${MARK}`,
    ownerEmail: `Anna@${MARK}.example`,
    notificationEmails: [`alerts@${MARK}.example`, { email: "ops@acme.example", topics: ["quota"] }],
    notes: `calls herself ${MARK}`,
    metadata: { nick: MARK },
  });
  const other = await make.subaccount(acme, { ownerEmail: "other@shop.example" });
  const { id } = shop.subaccount;
  const send = async (subaccountId: SubaccountId, mark: string) => {
    const submission = submissionOf(
      { masterId: acme.master.id, subaccountId },
      {
        recipients: [`to@${mark}.example`, `cc@${mark}.example`],
        sender: `app@${mark}.example`,
        headerFrom: `app@${mark}.example`,
        headerMessageId: `<1@${mark}.example>`,
        subject: `Hello ${mark}`,
        envelopeId: mark,
        text: `Subject: Hello ${mark}\r\n\r\n${mark}\r\n`,
      },
    );
    expect(await testAcceptor(database).accept(submission)).toMatchObject({ kind: "accepted" });
    return submission.id;
  };
  const settle = async () => {
    await pool.query(`update recipient set state = 'delivered', settled_at = pm_now(),
      attempts = jsonb_build_array(jsonb_build_object('reply', '250 ' || address))`);
    await pool.query("delete from queue");
  };
  const close = () => transitionSubaccount(db, acme.principal, id, "close", {}, clock);
  const erase = () => eraseSubaccount(db, acme.principal, id, clock);
  return { database, db, clock, pool, make, acme, beta, shop, other, id, send, settle, close, erase };
}
type World = Awaited<ReturnType<typeof world>>;

/** Something of everything that may hold a text. */
async function fill(told: World): Promise<void> {
  const { db, clock, pool, make, acme, shop, other, id, send, settle } = told;
  const masterId = acme.master.id;
  const message = await send(id, MARK);
  await send(other.subaccount.id, "koala");
  const report = {
    ...({
      id: newId<typeof message>(clock),
      kind: "dsn",
      masterId,
      subaccountId: id,
      sender: "",
      smtpUtf8: false,
    } as const),
    recipients: [`app@${MARK}.example`],
    bytes: Buffer.from(`about ${MARK}`),
  };
  await enqueue(pool as never, report, 1e6);
  const letter = (to: string[], text: string) =>
    sendLetter(
      db,
      {
        ...{ of: { masterId, subaccountId: null }, to, reader: { language: "en", timeZone: "UTC" } },
        write: () =>
          ({ subject: text, headline: text, facts: [], paragraphs: [text], help: undefined, why: text }) as never,
      },
      { clock, config },
    );
  await letter([`anna@${MARK}.example`, "ops@acme.example"], `About ${MARK}`);
  await letter(["ops@acme.example"], "Nothing of it");
  await settle();
  const where = [masterId, id];
  await pool.query(
    `insert into captured values (gen_random_uuid(), $3, $1, $2, $4, array[$4], 5, $4, $4, convert_to($4, 'UTF8'), pm_now())`,
    [...where, message, MARK],
  );
  await pool.query(
    `insert into event values (new_event_id(pm_now()), 'message.delivered', $1, $2, $3, pm_now(), jsonb_build_object('recipient', $4::text, 'attempt', 1)),
       (new_event_id(pm_now()), 'notification.bounced', $1, null, null, pm_now(), jsonb_build_object('email', 'anna@' || $4 || '.example', 'reason', $4::text))`,
    [...where, message, MARK],
  );
  await pool.query(
    `insert into refusal (subaccount_id, minute, reason, master_id, period_start, messages, units, sample, id)
     values ($2, date_trunc('minute', pm_now()), 'subaccount_limit', $1, date_trunc('month', pm_now()), 2, 3, jsonb_build_object('from', $3::text), new_event_id(pm_now()))`,
    [...where, MARK],
  );
  await pool.query(`insert into undeliverable_email select $1, 'anna@' || $2 || '.example', pm_now(), $2, $3`, [
    masterId,
    MARK,
    message,
  ]);
  await pool.query(
    `with run as (insert into bulk_run (id, kind, master_id, asked_by, state, created_at, touched_at)
                  values (gen_random_uuid(), 'change', $1, '{}', 'done', pm_now(), pm_now()) returning id)
     insert into bulk_item (run_id, n, subaccount_id, before, after, planned) select id, 1, $2, jsonb_build_object('notes', $3::text), '{}', 'change' from run`,
    [...where, MARK],
  );
  await pool.query(
    `insert into review (id, master_id, subaccount_id, question, hold, told, state, answer, note, opened_at, closed_at)
     values (gen_random_uuid(), $1, $2, $3, false, 'both', 'closed', $3, $3, pm_now(), pm_now())`,
    [...where, MARK],
  );
  await pool.query(
    `insert into lockout (key, failures, expires_at, master_id, subaccount_id, name, network)
     values ('\\x01', 1, pm_now() + interval '1 day', $1, $2, $3, '192.0.2.0/24')`,
    [...where, MARK],
  );
  await pool.query(
    `insert into alert_rule (id, master_id, subaccount_id, kind, name, enabled, topic, created_at, updated_at)
     values (gen_random_uuid(), $1, $2, 'refusals', $3, true, 'quota', pm_now(), pm_now())`,
    [...where, MARK],
  );
  await changeBrand(db, acme.principal, id, { productName: MARK, footer: MARK }, {}, clock);
  await addDomain(db, shop.principal, id, { name: `${MARK}.example` }, clock);
  await createKey(db, shop.principal, { name: MARK, scopes: ["read"] }, make.keyring, clock);
  await addTopUp(db, acme.principal, shop.subaccount, { units: 5, note: MARK }, clock);
  await people(told);
}

/** One who is only there, and one who is elsewhere too. */
async function people({ db, clock, make, acme, id, other, pool }: World): Promise<void> {
  const account = { masterId: acme.master.id, subaccountId: id };
  await insertMember(db, account, { email: `bob@${MARK}.example`, name: `Bob ${MARK}`, role: "owner" }, clock);
  await insertMember(db, account, { email: "carol@both.example", role: "viewer" }, clock);
  const elsewhere = { masterId: acme.master.id, subaccountId: other.subaccount.id };
  await insertMember(db, elsewhere, { email: "carol@both.example", role: "viewer" }, clock);
  const { rows } = await pool.query(
    "select b.id, b.person_id from member b join person p on p.id = b.person_id where p.email like 'bob%'",
  );
  const of = { personId: rows[0].person_id, memberId: rows[0].id, subaccountId: id };
  const link = { purpose: "invite", ttlMs: DAY_MS, ...of, data: { email: MARK } } as const;
  await createLink(db, link, make.keyring, clock);
  await pool.query(
    `insert into session (id, token_hash, person_id, member_id, subaccount_id, user_agent, created_at, seen_at, expires_at)
     values (gen_random_uuid(), '\\x02', $1, $2, $3, $4, pm_now(), pm_now(), pm_now())`,
    [of.personId, of.memberId, id, MARK],
  );
}

/** Tables with a row in which the text stands, as text or in bytes. */
async function tablesWith({ pool }: Pick<Database, "pool">, text: string): Promise<string[]> {
  const { rows } = await pool.query(
    `select format('%I.%I', n.nspname, c.relname) as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema') order by 1`,
  );
  const found: string[] = [];
  for (const { name } of rows) {
    const hex = Buffer.from(text).toString("hex");
    const hit = await pool.query(`select from ${name} t where t::text ilike $1 or t::text like $2 limit 1`, [
      `%${text}%`,
      `%${hex}%`,
    ]);
    if (hit.rowCount === 1) found.push(name.replace(/^public\.|_\d{8}$/g, "").replace(/_\d{8}$/, ""));
  }
  return [...new Set(found)];
}

const kept = async ({ pool }: Pick<Database, "pool">) => ({
  entries: (await pool.query("select * from usage_entry order by id")).rows,
  usage: (await pool.query("select * from usage order by account_id, period_start")).rows,
  statements: (await pool.query("select * from statement order by id")).rows,
  lines: (await pool.query("select * from statement_line order by statement_id, subaccount_id")).rows,
  units: (
    await pool.query("select id, units, size_bytes, accepted_at from message where kind = 'submitted' order by id")
  ).rows,
  refused: (await pool.query("select messages, units, reason from refusal")).rows,
});

test("contents, addresses and people are gone from every table; ledger, usage and statements stay as they were", async () => {
  const told = await world();
  await fill(told);
  await told.close();
  await using late = await later(told.database, 40 * DAY_MS);
  await closeDue(late.db, { clock: late.clock, graceMs: 0, log: silentLog });
  const before = await kept(late);
  expect(before.statements.length).toBeGreaterThan(0);
  const marked = await tablesWith(late, MARK);
  expect(marked).toEqual(
    expect.arrayContaining(
      [
        "message",
        "body",
        "recipient",
        "captured",
        "event",
        "refusal",
        "audit_entry",
        "letter",
        "subaccount",
        "person",
      ].concat([
        "link",
        "session",
        "brand",
        "sender_domain",
        "api_key",
        "top_up",
        "review",
        "bulk_item",
        "alert_rule",
        "lockout",
      ]),
    ),
  );
  const { id } = await eraseSubaccount(late.db, told.acme.principal, told.id, late.clock);
  await finishErasure(late.db, id, late.clock);
  expect(await tablesWith(late, MARK)).toEqual([]);
  expect(await kept(late)).toEqual(before);
  expect(await verifyLedger(late.db, late.clock)).toMatchObject({ ok: true, found: 0 });
  const erased = await findErasure(late.db, told.acme.principal, id);
  expect(erased).toMatchObject({ state: "done", done: erased.total });
  expect(erased.done).toBeGreaterThan(5);
  expect(await readUsage(told.db, told.acme.principal, told.id, undefined, told.clock)).toMatchObject({ used: 2 });
});

test("what its master alone was told of the operator's query goes too", async () => {
  const told = await world();
  const { db, clock, acme, id } = told;
  const policy = { contactPolicy: { review: "master" } } as const;
  await changeMaster(db, acme.principal, undefined, policy, {}, clock);
  const { id: review } = await openReview(
    db,
    operator,
    { subaccount: id, question: `About ${MARK}`, hold: false },
    clock,
  );
  await answerReview(db, acme.principal, review, `${MARK} asked for it`, clock);
  await closeReview(db, operator, review, { decision: "release", note: `As ${MARK} said` }, clock);
  await told.close();
  await finishErasure(db, (await told.erase()).id, clock);
  expect(await tablesWith(told.database, MARK)).toEqual([]);
  const { rows } = await told.pool.query("select action from audit_entry where action like 'review.%' order by id");
  expect(rows.map(({ action }) => action)).toEqual(["review.opened", "review.answered", "review.closed"]);
});

test("what is written about it while it is erased goes with the last page", async () => {
  const told = await world();
  const { db, clock, acme, id } = told;
  await fill(told);
  await told.close();
  const erasure = await told.erase();
  // All pages are done, and the letters wait.
  await told.pool.query(
    `insert into queue (message_id, subaccount_id, due_at, owner, expires_at)
     select message_id, '00000000-0000-0000-0000-000000000001', pm_now() + interval '1 hour', 7, pm_now() + interval '1 day'
       from letter order by message_id limit 1`,
  );
  expect(await eraseSlice(db, erasure.id, clock)).toBe("waits");
  await changeSubaccount(db, acme.principal, id, { notes: `${MARK} again`, ownerName: `Ann ${MARK}` }, {}, clock);
  await told.pool.query("update queue set owner = null");
  expect(await eraseSlice(db, erasure.id, clock)).toBe("ended");
  expect(await tablesWith(told.database, MARK)).toEqual([]);
});

test("what is another's stays: its mail, letters to its master, and who has a place elsewhere", async () => {
  const told = await world();
  await fill(told);
  await told.close();
  const { id } = await told.erase();
  await finishErasure(told.db, id, told.clock);
  expect(await tablesWith(told.database, "koala")).toEqual(["body", "message", "recipient"]);
  expect(await tablesWith(told.database, "Nothing of it")).toEqual(["body"]);
  const { rows } = await told.pool.query("select email from person");
  expect(rows).toEqual([{ email: "carol@both.example" }]);
  const { rows: letters } = await told.pool.query("select recipients from letter order by message_id");
  expect(letters).toEqual([{ recipients: ["", "ops@acme.example"] }, { recipients: ["ops@acme.example"] }]);
  const { rows: done } = await told.pool.query(
    "select action, actor_kind, after from audit_entry where action like 'subaccount.erase%' order by id",
  );
  expect(done.map(({ action, actor_kind }) => [action, actor_kind])).toEqual([
    ["subaccount.erase_started", "master"],
    ["subaccount.erased", "master"],
  ]);
  const { rows: events } = await told.pool.query("select data from event where type = 'subaccount.erased'");
  expect(events).toMatchObject([{ data: { purge: false } }]);
});

test("all that logs in as it is revoked, and it is never opened, renewed or given away again", async () => {
  const told = await world();
  const { db, clock, acme, id, make } = told;
  await fill(told);
  await told.close();
  await finishErasure(db, (await told.erase()).id, clock);
  const open = await told.pool.query(
    "select from credential where subaccount_id = $1 and revoked_at is null union all select from api_key where subaccount_id = $1 and revoked_at is null",
    [id],
  );
  expect(open.rowCount).toBe(0);
  await expect(transitionSubaccount(db, acme.principal, id, "reopen", {}, clock)).rejects.toThrow("is erased");
  await expect(
    offerTransfer(db, acme.principal, { subaccountId: id }, { keyring: make.keyring, clock, config }),
  ).rejects.toThrow("is erased");
  expect(await transitionSubaccount(db, acme.principal, id, "archive", {}, clock)).toMatchObject({
    ownState: "archived",
  });
});

test("asking twice answers with the erasure that runs; after it another finds nothing more", async () => {
  const told = await world();
  await fill(told);
  await told.close();
  const both = await Promise.all([told.erase(), told.erase()]);
  expect(both[0].id).toBe(both[1].id);
  await Promise.all(both.map(({ id }) => finishErasure(told.db, id, told.clock)));
  const state = async () => (await told.pool.query("select * from message order by id")).rows;
  const before = await state();
  const again = await told.erase();
  expect(again.id).not.toBe(both[0].id);
  await finishErasure(told.db, again.id, told.clock);
  expect(await state()).toEqual(before);
  expect(await verifyLedger(told.db, told.clock)).toMatchObject({ ok: true, found: 0 });
});

test.each(["recipient", "refusal", "letter", "person", "subaccount"])(
  "an erasure that dies at %s goes on where it was, and leaves nothing",
  async (table) => {
    const told = await world();
    await fill(told);
    await told.close();
    const { id } = await told.erase();
    await told.pool.query(`
      create sequence falls;
      create function fall() returns trigger language plpgsql as $$
      begin if nextval('falls') = 1 then raise exception 'it dies here'; end if; return coalesce(new, old); end $$;
      create trigger falls before update or delete on ${table} for each row execute function fall()`);
    await expect(finishErasure(told.db, id, told.clock)).rejects.toThrow("it dies here");
    expect(await findErasure(told.db, operator, id)).toMatchObject({ state: "running" });
    expect(await tablesWith(told.database, MARK)).not.toEqual([]);
    await finishErasure(told.db, id, told.clock);
    expect(await tablesWith(told.database, MARK)).toEqual([]);
    expect(await verifyLedger(told.db, told.clock)).toMatchObject({ ok: true, found: 0 });
  },
);

test("one whose worker has died is found again", async () => {
  const told = await world();
  await told.close();
  const { id } = await told.erase();
  expect(await reviveErasures(told.db)).toBe(0);
  await told.pool.query("update erasure set touched_at = pm_now() - interval '2 minutes'");
  expect(await reviveErasures(told.db)).toBe(1);
  expect(await eraseSlice(told.db, id, told.clock)).toBe("ended");
  expect(await reviveErasures(told.db)).toBe(0);
});

test("a letter that waits is cancelled; one in a worker's hands is left to him, and the erasure waits for it", async () => {
  const told = await world();
  await fill(told);
  await told.close();
  const { rows } = await told.pool.query("select message_id from letter order by message_id limit 1");
  await told.pool.query(
    `insert into queue (message_id, subaccount_id, due_at, owner, expires_at)
     values ($1, '00000000-0000-0000-0000-000000000001', pm_now() + interval '1 hour', 7, pm_now() + interval '1 day')`,
    [rows[0].message_id],
  );
  const { id } = await told.erase();
  expect(await eraseSlice(told.db, id, told.clock)).toBe("waits");
  expect(await tablesWith(told.database, MARK)).toContain("person");
  await told.pool.query("update queue set owner = null");
  expect(await eraseSlice(told.db, id, told.clock)).toBe("ended");
  expect((await told.pool.query("select from queue")).rowCount).toBe(0);
  expect(await tablesWith(told.database, MARK)).toEqual([]);
});

test("what still waits is said: it is open, mail is queued, a transfer or a query is open, the operator holds it", async () => {
  const { db, clock, pool, acme, beta, shop, id, make, send, settle, close, erase } = await world();
  const of = (who: TestMaster) => eraseSubaccount(db, who.principal, id, clock);
  await expect(of(beta)).rejects.toMatchObject({ kind: "not-found" });
  await expect(eraseSubaccount(db, shop.principal, id, clock)).rejects.toMatchObject({ kind: "forbidden" });
  await expect(erase()).rejects.toThrow("close it first");
  await send(id, MARK);
  await close();
  await expect(erase()).rejects.toThrow("1 message still waits");
  await settle();
  await offerTransfer(db, acme.principal, { subaccountId: id }, { keyring: make.keyring, clock, config });
  await expect(erase()).rejects.toThrow("A transfer");
  await pool.query("update transfer set state = 'withdrawn'");
  await transitionSubaccount(db, operator, id, "suspend", {}, clock);
  await expect(erase()).rejects.toThrow("only the operator");
  await transitionSubaccount(db, operator, id, "resume", {}, clock);
  await pool.query(
    "insert into review (id, master_id, subaccount_id, question, hold, told, opened_at) values (gen_random_uuid(), $1, $2, 'why', true, 'both', pm_now())",
    [acme.master.id, id],
  );
  await expect(erase()).rejects.toThrow("query");
  await pool.query("delete from review");
  const { id: erasure } = await erase();
  await expect(findErasure(db, beta.principal, erasure)).rejects.toMatchObject({ kind: "not-found" });
  expect(await findErasure(db, acme.principal, erasure)).toMatchObject({ state: "running" });
});

test("the operator purges one that was closed for long enough, after a look at what would go", async () => {
  const told = await world();
  await fill(told);
  await told.close();
  const { db, clock, acme, id, database } = told;
  const retentionMs = 30 * DAY_MS;
  const purge = (at: Pick<World, "db" | "clock">, dryRun: boolean, who = operator as never) =>
    purgeSubaccount(at.db, who, id, { dryRun, retentionMs }, at.clock);
  await expect(purge({ db, clock }, true)).rejects.toThrow("are kept for a while");
  await using late = await later(database, 31 * DAY_MS);
  await expect(purge(late, true, acme.principal as never)).rejects.toMatchObject({ kind: "forbidden" });
  const dry = await purge(late, true);
  expect(dry).toMatchObject({
    erasure: null,
    contents: { messages: 2, captured: 1, refusals: 1, members: 2, domains: 1 },
  });
  expect(await tablesWith(late, MARK)).toContain("person");
  const { erasure } = await purge(late, false);
  await finishErasure(late.db, erasure!.id, late.clock);
  expect(await tablesWith(late, MARK)).toEqual([]);
  const { purgedAt, erasedAt } = await findSubaccount(late.db, operator, id, late.clock);
  expect([purgedAt, erasedAt]).toEqual([expect.any(Date), expect.any(Date)]);
  expect(await verifyLedger(late.db, late.clock)).toMatchObject({ ok: true, found: 0 });
});
