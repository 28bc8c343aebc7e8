/** Every state, every action, every door: what of a subaccount still works after the answer of the action, on the whole program. */
import { describe, expect, test } from "vitest";
import {
  type Action,
  flagActions,
  type OwnState,
  type ShownState,
  stateActions,
  subaccountMoves,
} from "../../src/accounts/states.ts";
import { Client, plain, send } from "../submission/client.ts";
import { createTenant, eventually, type Tenant } from "../support/relay.ts";
import { openScene } from "./scene.ts";

const { relay } = await openScene({ withRedis: false });
const tenant = await createTenant(relay, { limit: null });
const asMaster = { key: tenant.masterKey };

/** What each state lets through each door (features.md, contract.md). */
const doors: Readonly<Record<ShownState, { send: boolean; read: number; write: number }>> = {
  active: { send: true, read: 200, write: 200 },
  pending: { send: false, read: 200, write: 403 },
  disabled: { send: false, read: 200, write: 403 },
  expired: { send: false, read: 200, write: 403 },
  suspended: { send: false, read: 200, write: 403 },
  closed: { send: false, read: 401, write: 401 },
  archived: { send: false, read: 401, write: 401 },
};

type Start = OwnState | "suspended" | "expired" | "suspended while disabled";
const ways: Readonly<Record<Start, readonly Action[]>> = {
  active: [],
  pending: [],
  disabled: ["disable"],
  closed: ["close"],
  archived: ["close", "archive"],
  suspended: ["suspend"],
  expired: [],
  "suspended while disabled": ["disable", "suspend"],
};
const ownOf: Readonly<Record<Start, OwnState>> = {
  active: "active",
  pending: "pending",
  disabled: "disabled",
  closed: "closed",
  archived: "archived",
  suspended: "active",
  expired: "active",
  "suspended while disabled": "disabled",
};

/**
 * By the tables alone: whether an action is allowed, the state shown after it, and whether the queue waits: a suspension holds it
 * also where a stronger state is shown.
 */
function after(start: Start, action: Action): { status: 200 | 409; shown: ShownState; held: boolean } {
  let suspended = start.startsWith("suspended");
  let own = ownOf[start];
  let status: 200 | 409 = 200;
  if (action === "suspend" || action === "resume") suspended = action === "suspend";
  else {
    const move = subaccountMoves[action][own];
    if (move === undefined) status = 409;
    else if (move === "before") own = "active";
    else if (move !== "stays") own = move;
  }
  const shown =
    own === "closed" || own === "archived" ? own : suspended ? "suspended" : start === "expired" ? start : own;
  return { status, shown, held: suspended };
}

type Subject = Readonly<{
  id: string;
  key: string;
  username: string;
  password: string;
  /** Opened while it was active; none where it never was. */
  session: Client | undefined;
  /** Accepted while it was active, and still queued. */
  queued: string | undefined;
}>;

async function openSession({ username, password }: Pick<Subject, "username" | "password">) {
  const client = await Client.connect(relay.ports.submission);
  await client.reply();
  await client.command("EHLO client.example");
  await client.command("STARTTLS");
  await client.starttls();
  await client.command("EHLO client.example");
  return { client, answer: await client.command(`AUTH PLAIN ${plain(username, password)}`) };
}

const letter = "From: app@customer.example\r\nSubject: Hello\r\n\r\nHello.";
const change = (id: string, action: string, body: unknown = {}) =>
  relay.call("POST", `/v1/subaccounts/${id}/${action}`, body);

async function subject(start: Start, of: Tenant = tenant): Promise<Subject> {
  const asOwner = { key: of.masterKey };
  const pending = start === "pending" ? { onboarding: "invite", owner_email: "o@corner.example" } : {};
  const body = { name: "Corner Shop", monthly_limit: 100, ...pending };
  const { body: made } = await relay.call("POST", "/v1/subaccounts", body, asOwner);
  const given =
    made.credential ?? (await relay.call("POST", `/v1/subaccounts/${made.id}/credentials`, {}, asOwner)).body;
  const keyBody = { name: "k", scopes: ["full"], subaccount_id: made.id };
  const { body: key } = await relay.call("POST", "/v1/keys", keyBody, asOwner);
  const access = { id: made.id, key: key.key, username: given.username, password: given.password };
  if (start === "pending") return { ...access, session: undefined, queued: undefined };
  await change(made.id, "hold");
  const { client: session } = await openSession(access);
  const queued = /msg_\w+/.exec(await send(session, letter))?.[0];
  expect(queued).toBeDefined();
  for (const action of ways[start]) expect((await change(made.id, action)).status).toBe(200);
  if (start === "expired") {
    const past = { expires_at: "2020-01-01T00:00:00Z" };
    expect((await relay.call("PATCH", `/v1/subaccounts/${made.id}`, past)).status).toBe(200);
  }
  return { ...access, session, queued };
}

/** Every door, at once after the answer that brought it there. Returns what was accepted. */
async function tryDoors(of: Subject, state: ShownState): Promise<number> {
  const wanted = doors[state];
  const [inSession, auth] = await Promise.all([of.session && send(of.session, letter), openSession(of)]);
  if (inSession !== undefined) expect(inSession).toMatch(wanted.send ? /^250 2\.0\.0/ : /^550 5\.7\.1 Account/);
  expect(auth.answer).toMatch(wanted.send ? /^235/ : /^525 5\.7\.13/);
  if (!wanted.send) expect(auth.answer).toContain(`Account is ${state}`);
  const reading = await relay.call("GET", "/v1/account", undefined, { key: of.key });
  const writing = await relay.call("PATCH", "/v1/account", { owner_name: "Anna" }, { key: of.key });
  expect([reading, writing].map(knownOrNot)).toEqual([wanted.read, wanted.write]);
  if (reading.status === 200) expect(reading.body.state).toBe(state);
  of.session?.destroy();
  auth.client.destroy();
  return inSession?.startsWith("250") ? 1 : 0;
}

/** A key that opens nothing is unknown; after twenty such a minute from one network it is told to wait instead. */
const knownOrNot = ({ status }: Readonly<{ status: number }>) => (status === 429 ? 401 : status);

async function queueOf({ id, queued }: Subject, held: boolean): Promise<void> {
  await change(id, "release"); // the hold of this test
  if (queued === undefined) return;
  const shown = async () => (await relay.call("GET", `/v1/messages/${queued}`)).body.recipients[0].state;
  if (!held) {
    await eventually(async () => (await shown()) === "delivered", `${queued} is delivered`);
    return;
  }
  expect(await shown()).toBe("held");
  await change(id, "resume");
  await eventually(async () => (await shown()) === "delivered", `${queued} is delivered after all`);
}

async function billOf({ id }: Subject, units: number): Promise<void> {
  const usage = await relay.call("GET", `/v1/subaccounts/${id}/usage`);
  expect(usage.body.used).toBe(units);
  const preview = await relay.call("GET", "/v1/statements/current", undefined, asMaster);
  const line = preview.body.lines.find((one: { subaccount_id: string }) => one.subaccount_id === id);
  expect(line?.units ?? 0).toBe(units);
}

const starts = Object.keys(ways) as Start[];
const actions = [...stateActions, ...flagActions];

describe.each(starts)("from %s", (start) => {
  test.each(actions)("%s rules every door with its answer", async (action) => {
    const of = await subject(start);
    const { status, shown, held } = after(start, action);
    const answer = await change(of.id, action);
    expect(answer.status, answer.text).toBe(status);
    const accepted = await tryDoors(of, shown);
    await queueOf(of, held);
    await billOf(of, (of.queued === undefined ? 0 : 1) + accepted);
  });
});

describe("its master's states", () => {
  test.each([
    ["suspended", "suspend", "resume"],
    ["closed", "close", "reopen"],
  ] as const)("%s rules every door of its subaccounts, until %s is over", async (state, action, back) => {
    const own = await createTenant(relay, { limit: null });
    const of = await subject("active", own);
    const master = (verb: string) => relay.call("POST", `/v1/masters/${own.masterId}/${verb}`, {});
    expect((await master(action)).status).toBe(200);
    expect(await tryDoors(of, state)).toBe(0);
    await change(of.id, "release");
    const shown = async () => (await relay.call("GET", `/v1/messages/${of.queued}`)).body.recipients[0].state;
    if (state === "suspended") expect(await shown()).toBe("held");
    expect((await master(back)).status).toBe(200);
    await eventually(async () => (await shown()) === "delivered", "what was queued is delivered");
    expect(await tryDoors({ ...of, session: undefined }, "active")).toBe(0);
  });

  test("its end date rules every door of its subaccounts", async () => {
    const own = await createTenant(relay, { limit: null });
    const of = await subject("active", own);
    const end = { expires_at: "2020-01-01T00:00:00Z" };
    expect((await relay.call("PATCH", `/v1/masters/${own.masterId}`, end)).status).toBe(200);
    expect(await tryDoors(of, "expired")).toBe(0);
  });
});

test("control: a door that lets a disabled account through would be noticed", async () => {
  const of = await subject("active");
  await expect(tryDoors(of, "disabled")).rejects.toThrow(/550 5/);
});
