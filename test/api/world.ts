/**
 * Two resellers with customers, and something of everything for each, so that what belongs to one can be looked for in
 * what another is answered. Every text of an account carries its mark.
 */
import { sql } from "kysely";
import type { CapturedId, EventId, IdOf, MasterId, MessageId, SubaccountId } from "../../src/platform/ids.ts";
import { formatId, newId, parseId } from "../../src/platform/ids.ts";
import { type Door, OPERATOR_KEY } from "./client.ts";

/** Ids by the kind that stands in a path, all TypeIDs. */
export type Things = Readonly<{
  mas: string;
  sub: string;
  cred: string;
  key: string;
  mem: string;
  ses: string;
  dom: string;
  msg: string;
  cap: string;
  stm: string;
  view: string;
  imp: string;
  rev: string;
  blk: string;
  plan: string;
  tpl: string;
  bil: string;
  rat: string;
  tra: string;
  era: string;
  rul: string;
}>;

export type Account = Readonly<{ key: string; things: Things; marks: readonly string[] }>;

export type World = Readonly<{
  master: Account;
  /** A customer of `master`, and another. */
  customer: Account;
  sibling: Account;
  foreign: Account;
  foreignCustomer: Account;
}>;

export async function createWorld(door: Door): Promise<World> {
  const ours = await createMaster(door, "OURS");
  const customer = await createCustomer(door, ours, "CUSTOMER");
  const sibling = await createCustomer(door, ours, "SIBLING");
  const theirs = await createMaster(door, "THEIRS");
  const foreignCustomer = await createCustomer(door, theirs, "STRANGER");
  return {
    master: own(ours, customer),
    customer,
    sibling,
    foreign: own(theirs, foreignCustomer),
    foreignCustomer,
  };
}

type Made = Readonly<{ id: string; key: string; keyId: string; mark: string }> &
  Pick<Things, "stm" | "mem" | "view" | "imp" | "blk" | "plan" | "tpl" | "bil" | "rat">;

function own(made: Made, customer: Account): Account {
  return {
    key: made.key,
    things: { ...customer.things, key: made.keyId, mem: made.mem },
    marks: [made.mark, ...customer.marks],
  };
}

async function createMaster(door: Door, mark: string): Promise<Made> {
  const body = { name: `${mark} Hosting`, allowance: 1_000_000, notification_emails: [`ops@${mark}.example`] };
  const { body: made } = await door.call("POST", "/v1/masters", { key: OPERATOR_KEY, body });
  const stm = await closeStatement(door, made.id);
  const { key } = made.api_key;
  const mem = await createMember(door, key, mark);
  const view = await door.call("POST", "/v1/views", { key, body: { name: `${mark} view`, shared: true } });
  const planned = await planRuns(door, key, mark);
  const plan = await door.call("POST", "/v1/plans", { key, body: { name: `${mark} plan`, monthly_limit: 10 } });
  const tpl = await door.call("POST", "/v1/templates", { key, body: { name: `${mark} template` } });
  const profile = { name: `${mark} profile`, currency: "EUR" };
  const bil = await door.call("POST", "/v1/billing_profiles", { key, body: profile });
  const sold = { name: `${mark} card`, currency: "EUR", price_minor: 100 };
  const rat = await door.call("POST", "/v1/rate_cards", { key, body: sold });
  const own = { id: made.id, key, keyId: made.api_key.id, mark, stm, mem };
  return {
    ...own,
    view: view.body.id,
    ...planned,
    plan: plan.body.id,
    tpl: tpl.body.id,
    bil: bil.body.id,
    rat: rat.body.id,
  };
}

/** An import and a bulk change, as far as their plans. */
async function planRuns(door: Door, key: string, mark: string): Promise<Pick<Things, "imp" | "blk">> {
  const table = `external_id,name,monthly_limit\r\nimport-${mark},${mark} import,5\r\n`;
  const headers = { "Content-Type": "text/csv" };
  const imported = await door.call("POST", "/v1/subaccounts/import?dry_run=true", { key, headers, body: table });
  const body = { filter: { with_own: true }, change: { region: `region of ${mark}` }, dry_run: true };
  const changed = await door.call("POST", "/v1/subaccounts/bulk", { key, body });
  return { imp: imported.body.id, blk: changed.body.id };
}

/** What all its customers have in common. */
const mastersThings = ["mas", "stm", "view", "imp", "blk", "plan", "tpl", "bil", "rat"];

async function createCustomer(door: Door, master: Made, mark: string): Promise<Account> {
  const { key } = master;
  const body = {
    name: `${mark} shop`,
    monthly_limit: 1000,
    notes: `notes of ${mark}`,
    external_id: `ext-${mark}`,
    owner_name: `owner of ${mark}`,
    owner_email: `owner@${mark}.example`,
    notification_emails: [`alerts@${mark}.example`],
    plan: `plan-${mark}`,
    region: `region-${mark}`,
    metadata: { mark },
    features: { billing_history: true },
  };
  const { body: made } = await door.call("POST", "/v1/subaccounts", { key, body });
  const keyBody = { name: `${mark} key`, scopes: ["full"], subaccount_id: made.id };
  const { body: ownKey } = await door.call("POST", "/v1/keys", { key, body: keyBody });
  const brand = { product_name: `${mark} Mail`, footer: `footer of ${mark}`, host: `mail.${mark}.example` };
  await door.call("PATCH", `/v1/subaccounts/${made.id}/branding`, { key, body: brand });
  const { msg, cap } = await createMail(door, parseId("mas", master.id)!, parseId("sub", made.id)!, mark);
  const rule = { kind: "jump", name: `rule of ${mark}`, subaccount_id: made.id };
  const { body: rul } = await door.call("POST", "/v1/alert_rules", { key, body: rule });
  const { body: domain } = await door.call("POST", `/v1/subaccounts/${made.id}/domains`, {
    key,
    body: { name: `${mark}.example` },
  });
  const offer = { subaccount_id: made.id, standalone: true };
  const { body: transfer } = await door.call("POST", "/v1/transfers", { key, body: offer });
  const ask = { key: OPERATOR_KEY, body: { subaccount_id: made.id, question: `question to ${mark}` } };
  const { body: review } = await door.call("POST", "/v1/reviews", ask);
  const things = {
    rev: review.id,
    tra: transfer.id,
    era: await createErasure(door, parseId("mas", master.id)!, parseId("sub", made.id)!),
    dom: domain.id,
    mem: await createMember(door, ownKey.key, mark),
    ses: formatId("ses", newId(door.database.clock)),
    mas: master.id,
    sub: made.id,
    cred: made.credential.id,
    key: ownKey.id,
    msg,
    cap,
    stm: master.stm,
    view: master.view,
    imp: master.imp,
    blk: master.blk,
    plan: master.plan,
    tpl: master.tpl,
    bil: master.bil,
    rat: master.rat,
    rul: rul.id,
  };
  const ids = Object.entries(things).flatMap(([kind, id]) => (mastersThings.includes(kind) ? [] : [id]));
  return { key: ownKey.key, things, marks: [mark, mark.toLowerCase(), made.credential.username, ...ids] };
}

async function createMember(door: Door, key: string, mark: string): Promise<string> {
  const body = { email: `person@${mark}.example`, name: `Person of ${mark}`, role: "viewer" };
  const { body: member } = await door.call("POST", "/v1/members", { key, body });
  return member.id;
}

async function createMail(door: Door, masterId: MasterId, subaccountId: SubaccountId, mark: string) {
  const { db, clock } = door.database;
  const id = newId<MessageId>(clock);
  const cap = newId<CapturedId>(clock);
  const where = { master_id: masterId, subaccount_id: subaccountId };
  const now = clock.now();
  const facts = { subject: `${mark} subject`, header_from: `app@${mark}.example`, size_bytes: 40 };
  await db
    .insertInto("message")
    .values({ id, ...where, kind: "submitted", sender: `app@${mark}.example`, units: 1, ...facts, accepted_at: now })
    .execute();
  await db
    .insertInto("recipient")
    .values({ message_id: id, n: 0, address: `to@${mark}.example` })
    .execute();
  await db
    .insertInto("queue")
    .values({ message_id: id, subaccount_id: subaccountId, due_at: now, expires_at: new Date(now.getTime() + 1e9) })
    .execute();
  const event = { id: newId<EventId>(clock), type: "message.deferred", ...where, message_id: id, at: now };
  await db
    .insertInto("event")
    .values({ ...event, data: JSON.stringify({ mark }) })
    .execute();
  const bytes = Buffer.from(`From: app@${mark}.example\r\nSubject: ${mark}\r\n\r\nbody of ${mark}\r\n`);
  const captured = { sender: `app@${mark}.example`, recipients: [`to@${mark}.example`], bytes, captured_at: now };
  await db
    .insertInto("captured")
    .values({ id: cap, message_id: id, ...where, ...facts, ...captured })
    .execute();
  return { msg: formatId("msg", id), cap: formatId("cap", cap) };
}

/** One of before, as the job would have left it. */
async function createErasure(door: Door, masterId: MasterId, subaccountId: SubaccountId): Promise<string> {
  const { db, clock } = door.database;
  const id = newId<IdOf["era"]>(clock);
  const now = clock.now();
  const where = { master_id: masterId, subaccount_id: subaccountId, asked_by: "{}" };
  const at = { created_at: now, touched_at: now, finished_at: now };
  await db
    .insertInto("erasure")
    .values({ id, ...where, state: "done", total: 3, done: 3, ...at })
    .execute();
  return formatId("era", id);
}

/** A statement of last month, as the job would have closed it. */
async function closeStatement(door: Door, master: string): Promise<string> {
  const id = newId<IdOf["stm"]>(door.database.clock);
  await sql`insert into statement (id, master_id, period_start, period_end, allowance, cap, overage, units, messages, corrections,
      lines_hash, chain_hash, closed_at)
    values (${id}, ${parseId("mas", master)!}, '2026-10-01Z', '2026-11-01Z', 10, 10, 'block', 3, 2, 0, '\\x00', '\\x00', pm_now())`.execute(
    door.database.db,
  );
  return formatId("stm", id);
}
