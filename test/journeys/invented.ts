/**
 * Invented tenants: a list of numbers becomes masters, subaccounts, limits, sends, closings and corrections over the API
 * and the real accept call, beside a model of a few lines that says what must come of each. Every name carries a mark.
 */
import { addCorrection } from "../../src/metering/correction.ts";
import { type Calendar, periodAt } from "../../src/metering/period.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { type MasterId, type MessageId, newId, parseId, type SubaccountId } from "../../src/platform/ids.ts";
import type { ProcessGate } from "../../src/quota/create-gate.ts";
import type { Acceptor } from "../../src/spool/accept.ts";
import { type Child, type Door, newMaster, newSubaccount, type Tenant } from "../api/client.ts";
import { submissionOf } from "../support/submission.ts";
import { operator } from "../support/tenants.ts";

/** What to do, and three numbers to choose by. */
export type Step = readonly [deed: number, a: number, b: number, c: number];

export type House = Readonly<{ door: Door; gate: ProcessGate; acceptor: Acceptor }>;

type Sub = Child & { mark: string; limit: number; topUp: number; used: number; corrected: number; open: boolean };
type Master = Tenant & {
  mark: string;
  cap: number;
  subs: Sub[];
  messages: { id: MessageId; units: number; sub: Sub }[];
};

const calendar: Calendar = { anchorDay: 1, timeZone: "UTC" };
let marks = 0;

/** Plays the steps; gives a line for each thing that is not as it must be. */
export async function play(house: House, steps: readonly Step[]): Promise<string[]> {
  const masters = [await found(house, 30), await found(house, 12)];
  const faults: string[] = [];
  for (const [deed, a, b, c] of steps) {
    const master = masters[a % masters.length] as Master;
    const sub = master.subs[b % master.subs.length] as Sub;
    faults.push(...(await deeds[deed % deeds.length]!(house, { master, sub, n: c, masters })));
  }
  for (const master of masters) faults.push(...(await check(house, master)));
  const { db, clock } = house.door.database;
  const { differences } = await verifyLedger(db, clock);
  return [...faults, ...differences.map(({ check, subject }) => `ledger verify, ${check}: ${subject}`)];
}

async function found(house: House, cap: number): Promise<Master> {
  const mark = `mark-${++marks}-m`;
  const tenant = await newMaster(house.door, {
    name: mark,
    allowance: cap,
    notification_emails: [`a@${mark}.example`],
  });
  const master: Master = { ...tenant, mark, cap, subs: [], messages: [] };
  for (const limit of [10, 6]) master.subs.push(await hire(house, master, limit));
  return master;
}

async function hire({ door }: House, master: Master, limit: number): Promise<Sub> {
  const mark = `mark-${++marks}-s`;
  const child = await newSubaccount(door, master, { name: mark, notes: mark, external_id: mark, monthly_limit: limit });
  return { ...child, mark, limit, topUp: 0, used: 0, corrected: 0, open: true };
}

type Scene = Readonly<{ master: Master; sub: Sub; n: number; masters: readonly Master[] }>;
type Deed = (house: House, scene: Scene) => Promise<string[]>;

const usedBy = ({ subs }: Master) => subs.reduce((sum, { used }) => sum + used, 0);
const wrong = (what: string, is: unknown, wanted: unknown) =>
  is === wanted ? [] : [`${what} is ${is}, not ${wanted}`];

const send: Deed = async ({ door, gate, acceptor }, { master, sub, n }) => {
  const units = 1 + (n % 4);
  const { clock } = door.database;
  const masterId = parseId("mas", master.masterId) as MasterId;
  const subaccountId = parseId("sub", sub.id) as SubaccountId;
  const period = periodAt(calendar, clock.now());
  const charge = { masterId, subaccountId, period, units };
  const recipients = Array.from({ length: units }, (_, i) => `r${i}@${sub.mark}.example`);
  const told = {
    id: newId<MessageId>(clock),
    period,
    recipients,
    sender: `app@${sub.mark}.example`,
    subject: sub.mark,
  };
  const gated = await gate.reserve(charge);
  const { kind } = gated.kind === "reserved" ? await acceptor.accept(submissionOf(charge, told)) : gated;
  if (gated.kind === "reserved" && kind !== "accepted") await gate.release(charge);
  const fits = sub.used + units <= sub.limit + sub.topUp && usedBy(master) + units <= master.cap;
  if (kind === "accepted") {
    sub.used += units;
    master.messages.push({ id: told.id, units, sub });
  }
  return wrong(`a send of ${units} for ${sub.mark}`, kind, sub.open ? (fits ? "accepted" : "over") : "closed");
};

const setLimit: Deed = async ({ door }, { master, sub, n }) => {
  const body = { monthly_limit: n % 13 };
  const { status } = await door.call("PATCH", `/v1/subaccounts/${sub.id}`, { key: master.key, body });
  if (status === 200) sub.limit = body.monthly_limit;
  return wrong("a change of limit", status, 200);
};

const topUp: Deed = async ({ door }, { master, sub, n }) => {
  const body = { units: 1 + (n % 5) };
  const { status } = await door.call("POST", `/v1/subaccounts/${sub.id}/top_ups`, { key: master.key, body });
  if (status === 201) sub.topUp += body.units;
  return wrong("a top-up", status, sub.open ? 201 : 409);
};

const closeOrReopen: Deed = async ({ door }, { master, sub }) => {
  const verb = sub.open ? "close" : "reopen";
  const { status } = await door.call("POST", `/v1/subaccounts/${sub.id}/${verb}`, { key: master.key });
  sub.open = !sub.open;
  return wrong(verb, status, 200);
};

const claimDomain: Deed = async ({ door }, { master, sub, n }) => {
  const path = n % 2 === 0 ? `/v1/subaccounts/${sub.id}/domains` : "/v1/domains";
  const body = { name: `${sub.mark}-${n}.example` };
  const made = await door.call("POST", path, { key: master.key, body });
  if (n % 2 === 1 && made.status === 201) {
    const grants = { key: master.key, body: { subaccount_ids: [sub.id] } };
    return wrong("a grant", (await door.call("POST", `/v1/domains/${made.body.id}/grants`, grants)).status, 200);
  }
  return [];
};

const correct: Deed = async ({ door }, { master, n }) => {
  const message = master.messages[n % Math.max(1, master.messages.length)];
  if (message === undefined || message.units === 0) return [];
  const { db, clock } = door.database;
  await addCorrection(db, operator, { messageId: message.id, units: -1, note: message.sub.mark }, clock);
  message.units -= 1;
  message.sub.corrected -= 1;
  return [];
};

/** A stranger tries what it knows the id of. */
const intrude: Deed = async ({ door }, { master, sub, n, masters }) => {
  const stranger = masters[(masters.indexOf(master) + 1) % masters.length] as Master;
  const key = n % 2 === 0 ? stranger.key : (stranger.subs[0] as Sub).key;
  const tries = [
    () => door.call("GET", `/v1/subaccounts/${sub.id}`, { key }),
    () => door.call("PATCH", `/v1/subaccounts/${sub.id}`, { key: stranger.key, body: { monthly_limit: 0 } }),
    () => door.call("POST", `/v1/subaccounts/${sub.id}/close`, { key: stranger.key }),
    () => door.call("POST", `/v1/subaccounts/${sub.id}/top_ups`, { key: stranger.key, body: { units: 5 } }),
    () => door.call("GET", "/v1/messages", { key: stranger.key, account: `ext:${sub.mark}` }),
  ];
  const answer = await tries[n % tries.length]!();
  const closed = !(stranger.subs[0] as Sub).open && key !== stranger.key && n % tries.length === 0;
  return wrong("an intrusion", answer.status, closed ? 401 : 404);
};

/** Sending comes more often than the rest. */
const deeds: readonly Deed[] = [send, send, send, setLimit, topUp, closeOrReopen, claimDomain, correct, intrude];

async function check({ door }: House, master: Master): Promise<string[]> {
  const ask = async (path: string, key: string) => await door.call("GET", path, { key });
  const faults: string[] = [];
  const { body: all } = await ask("/v1/usage", master.key);
  const { body: statement } = await ask("/v1/statements/current", master.key);
  const corrected = master.subs.reduce((sum, sub) => sum + sub.corrected, 0);
  faults.push(...wrong(`usage of ${master.mark}`, all.used, usedBy(master)));
  faults.push(...wrong(`corrections of ${master.mark}`, all.corrections, corrected));
  faults.push(...wrong(`statement of ${master.mark}`, statement.units, usedBy(master)));
  for (const sub of master.subs) {
    const { body: usage } = await ask(`/v1/subaccounts/${sub.id}/usage`, master.key);
    faults.push(...wrong(`usage of ${sub.mark}`, usage.used, sub.used));
    faults.push(...wrong(`top-up of ${sub.mark}`, usage.top_up, sub.topUp));
    const line = statement.lines.find((one: { subaccount_id: string }) => one.subaccount_id === sub.id);
    faults.push(...wrong(`statement line of ${sub.mark}`, line?.units ?? 0, sub.used));
  }
  const own = [master.mark, ...master.subs.map(({ mark }) => mark)];
  for (const { key, may } of [
    { key: master.key, may: own },
    ...master.subs.map((s) => ({ key: s.key, may: [s.mark] })),
  ])
    faults.push(...(await strangersIn(door, key, may)));
  return faults;
}

/** Marks of others in any list that a key may read. */
async function strangersIn(door: Door, key: string, may: readonly string[]): Promise<string[]> {
  const lists = door.app.endpoints.filter(
    ({ definition: { method, path } }) => method === "get" && !path.includes("{"),
  );
  const faults: string[] = [];
  for (const { definition } of lists) {
    const { text } = await door.call("GET", definition.path, { key });
    for (const [mark] of text.matchAll(/mark-\d+-[ms]/g))
      if (!may.includes(mark)) faults.push(`${definition.path} shows ${may[0]} the ${mark}`);
  }
  return faults;
}
