/** What invented tenants do, each beside its line in the model. A deed gives a line for each thing that is not as it must be. */
import { createEndpoints } from "../../src/api/endpoints.ts";
import { nameOf, tryAll } from "../api/strangers.ts";
import { openConnection } from "../bench/connection.ts";
import type { Answer, Relay } from "../support/relay.ts";
import { makeLetter, NEVER, sendLetter } from "../support/sessions.ts";
import { count, type Stage } from "./tenants-stage.ts";
import {
  type Customer,
  customersOf,
  hindrances,
  isFree,
  type Login,
  type Master,
  mayUse,
  reasonOf,
  shownState,
  viewOf,
  type World,
} from "./tenants-world.ts";

/** Who does it, to whom or with what, and a number to choose by. */
export type Deed = Readonly<{ deed: keyof typeof deeds; who: number; other: number; n: number }>;
type Scene = Readonly<{ stage: Stage; world: World; master: Master; customer: Customer; other: Customer; n: number }>;
type Play = (scene: Scene) => Promise<string[]>;

// Only their definitions are read.
const endpoints = createEndpoints({ config: { dnsServers: [] } } as never);
const entrances = endpoints.filter(({ definition: { method, path } }) => method === "get" || path.includes("{"));
export const lists = endpoints.filter(({ definition: { method, path } }) => method === "get" && !path.includes("{"));

const isDone = ({ status }: Answer) => status >= 200 && status < 300;

/** Who is free to is served; whoever is not may be told no, and then nothing has changed. */
function judge(what: string, answer: Answer, free: boolean): string[] {
  const refused = [401, 403, 409, 429].includes(answer.status);
  return isDone(answer) || (!free && refused) ? [] : [`${what} is ${answer.status}: ${answer.text.slice(0, 200)}`];
}

const send: Play = async ({ stage, world, customer, n }) => {
  const live = customer.logins.filter(({ revoked }) => !revoked);
  const logins = n % 5 === 0 || live.length === 0 ? customer.logins : live;
  const login = logins[n % logins.length] as Login;
  const usable = world.names.filter((name) => mayUse(world, customer, name));
  const any = (k: number) => world.names[k % world.names.length]!;
  const from = n % 4 === 0 ? any(n) : (usable[n % Math.max(1, usable.length)] ?? any(n));
  const author = n % 7 === 0 ? any(n + 1) : from;
  const units = 1 + (n % 4);
  const recipients = Array.from({ length: units }, (_, i) => `to${i}@${customer.mark}.example`);
  const hindered = hindrances(world, { customer, login, units, domains: [from, author] });
  const letter = { ...makeLetter(recipients, `app@${from}`), author: `app@${author}` };
  const sent = await write(stage, login, letter, n % 3 === 0);
  const messageId = /Accepted as (msg_\w+)/.exec(sent.reply)?.[1];
  const { marker } = letter;
  world.sent.push({ marker, subaccountId: customer.id, recipients, ...sent, ...(messageId ? { messageId } : {}) });
  if (sent.knowledge === "accepted") customer.used += units;
  const reason = reasonOf(sent.reply);
  count(stage, messageId === undefined ? `refused for ${reason}` : "accepted");
  const right = hindered.length === 0 ? messageId !== undefined : reason !== undefined && hindered.includes(reason);
  const why = hindered.join(" or ") || "nothing";
  return right
    ? []
    : [`a send of ${units} by ${customer.mark} as ${from}, ${author}: ${sent.reply}; ${why} hindered it`];
};

/** Over the session that this login has open, where it has one and `anew` is not asked for. */
async function write(
  { relay, sessions }: Stage,
  login: Login,
  letter: Parameters<typeof sendLetter>[1],
  anew: boolean,
) {
  let session = anew ? undefined : sessions.get(login.username);
  try {
    session ??= await openConnection({ port: relay.ports.submission, tls: "off", login });
  } catch (error) {
    return { ...NEVER, knowledge: "unsent", reply: String(error) } as const;
  }
  const { usable, ...answer } = await sendLetter(session, letter);
  if (anew) sessions.get(login.username)?.end();
  if (usable) sessions.set(login.username, session);
  else {
    session.end();
    sessions.delete(login.username);
  }
  return answer;
}

const setLimit: Play = async ({ stage, master, customer, n }) => {
  const body = { monthly_limit: n % 9 === 0 ? null : n % 25 };
  const answer = await stage.relay.call("PATCH", `/v1/subaccounts/${customer.id}`, body, { key: master.key });
  if (body.monthly_limit !== customer.limit && (body.monthly_limit ?? 0) > master.allowance) {
    return isDone(answer)
      ? [`a limit of ${body.monthly_limit} was set above the allowance of ${master.allowance}`]
      : [];
  }
  if (isDone(answer)) customer.limit = body.monthly_limit;
  return judge("a change of limit", answer, isFree(customer));
};

const topUp: Play = async ({ stage, master, customer, n }) => {
  const units = 1 + (n % 5);
  const path = `/v1/subaccounts/${customer.id}/top_ups`;
  const answer = await stage.relay.call("POST", path, { units }, { key: master.key });
  if (isDone(answer)) customer.topUp += units;
  return judge("a top-up", answer, isFree(customer) && customer.limit !== null);
};

const setAllowance: Play = async ({ stage, master, n }) => {
  const allowance = n % 7 === 0 ? n % 10 : 10 + (n % 60);
  const answer = await stage.relay.call("PATCH", `/v1/masters/${master.id}`, { allowance });
  if (isDone(answer)) master.allowance = allowance;
  return judge("a change of allowance", answer, true);
};

const moves = {
  disable: { active: "disabled", disabled: "disabled", closed: undefined },
  enable: { active: "active", disabled: "active", closed: undefined },
  close: { active: "closed", disabled: "closed", closed: "closed" },
} as const;

const transition: Play = async ({ stage, master, customer, n }) => {
  const verb = (["disable", "close", "enable", "reopen", "enable", "reopen", "enable", "reopen"] as const)[n % 8]!;
  const was = customer.state;
  const next = verb !== "reopen" ? moves[verb][was] : was === "closed" ? customer.before : was;
  const answer = await stage.relay.call("POST", `/v1/subaccounts/${customer.id}/${verb}`, {}, { key: master.key });
  if (!isDone(answer)) return judge(verb, answer, isFree(master) && next !== undefined);
  if (next === undefined) return [`${verb} of a customer that is ${was} was done`];
  if (next === "closed" && was !== "closed") customer.before = was;
  customer.state = next;
  return saysState(answer, customer);
};

const suspend: Play = async ({ stage, master, customer, n }) => {
  const [account, path] = n % 5 === 0 ? [master, "masters"] : [customer, "subaccounts"];
  const verb = account.suspended || n % 3 === 0 ? "resume" : "suspend";
  const answer = await stage.relay.call("POST", `/v1/${path}/${account.id}/${verb}`, {});
  account.suspended = verb === "suspend";
  return [...judge(verb, answer, true), ...(account.kind === "customer" ? saysState(answer, account) : [])];
};

function saysState({ body }: Answer, customer: Customer): string[] {
  return body.state === shownState(customer)
    ? []
    : [`${customer.mark} is shown as ${body.state}, not ${shownState(customer)}`];
}

const newLogin: Play = async ({ stage, master, customer }) => {
  const path = `/v1/subaccounts/${customer.id}/credentials`;
  const answer = await stage.relay.call("POST", path, undefined, { key: master.key });
  const { id, username, password } = answer.body;
  if (isDone(answer)) customer.logins.push({ id, username, password, revoked: false });
  return judge("a new login", answer, isFree(customer));
};

const revoke: Play = async ({ stage, master, customer, n }) => {
  const login = customer.logins[n % customer.logins.length] as Login;
  const answer = await stage.relay.call("DELETE", `/v1/credentials/${login.id}`, undefined, { key: master.key });
  if (isDone(answer)) login.revoked = true;
  return judge("a revocation", answer, isFree(customer) && !login.revoked);
};

/** Everybody publishes the proofs of all: it is the name that only one may have. */
const prove: Play = async ({ stage, world, master, customer, n }) => {
  const owner = n % 3 === 0 ? master : customer;
  const name = world.names[n % world.names.length]!;
  const call = (path: string, body: object) => stage.relay.call("POST", path, body, { key: owner.key });
  let claim = world.domains.find((domain) => domain.owner === owner && domain.name === name);
  if (claim === undefined) {
    const made = await call("/v1/domains", { name });
    if (!isDone(made)) return judge("a claim", made, isFree(owner));
    claim = { id: made.body.id, name, proof: made.body.records[0].value, owner, proved: false, lent: new Set() };
    world.domains.push(claim);
  }
  const rivals = world.domains.filter((domain) => domain.name === name && domain !== claim);
  stage.dns.set(`_postmeter.${name}`, { TXT: [claim, ...rivals].map(({ proof }) => proof) });
  const held = rivals.some((rival) => rival.proved && !isClosed(rival.owner));
  const answer = await call(`/v1/domains/${claim.id}/verify`, {});
  if (!isDone(answer)) return judge("a proof", answer, isFree(owner) && !held);
  if (held) return [`${name} was proved by ${owner.mark}, though another holds it`];
  for (const rival of rivals) rival.proved = false;
  claim.proved = true;
  return answer.body.state === "verified" ? [] : [`a proof left ${name} ${answer.body.state}`];
};

const isClosed = (owner: Master | Customer) => owner.kind === "customer" && owner.state === "closed";

const giveUp: Play = async ({ stage, world, n }) => {
  const domain = world.domains[n % Math.max(1, world.domains.length)];
  if (domain === undefined) return [];
  const { owner, id } = domain;
  const answer = await stage.relay.call("DELETE", `/v1/domains/${id}`, undefined, { key: owner.key });
  if (isDone(answer)) world.domains.splice(world.domains.indexOf(domain), 1);
  return judge("giving a domain up", answer, isFree(owner));
};

/** A master's own domain to a customer: to one of its own, or to somebody else's, which must fail. */
const lend: Play = async ({ stage, world, other, n }) => {
  const owned = world.domains.filter(({ owner }) => owner.kind === "master");
  const domain = owned[n % Math.max(1, owned.length)];
  if (domain === undefined) return [];
  const { key } = domain.owner;
  const taken = n % 4 === 0;
  const path = `/v1/domains/${domain.id}/grants`;
  const answer = taken
    ? await stage.relay.call("DELETE", `${path}/${other.id}`, undefined, { key })
    : await stage.relay.call("POST", path, { subaccount_ids: [other.id] }, { key });
  if (other.master !== domain.owner) {
    const refused = [404, 422].includes(answer.status) || (answer.status === 403 && !isFree(domain.owner));
    return refused ? [] : [`lending to another's customer is ${answer.status}`];
  }
  if (isDone(answer)) domain.lent[taken ? "delete" : "add"](other);
  return judge("lending", answer, isFree(domain.owner));
};

/** A stranger with what belongs to another: whatever route it takes, it is shown and may do nothing. */
const intrude: Play = async ({ stage, world, customer, other, n }) => {
  const caller = n % 2 === 0 ? other : other.master;
  const victim = customer.master === other.master && caller.kind === "master" ? foreign(world, other.master) : customer;
  if (victim === other || !isFree(caller)) return [];
  const endpoint = entrances[n % entrances.length]!;
  const stranger = { caller: viewOf(world, caller), others: [viewOf(world, victim)] };
  const call = asCall(stage.relay);
  const counted: typeof call = (...asked) => {
    count(stage, "intrusions");
    return call(...asked);
  };
  const found = await tryAll(counted, [endpoint], stranger);
  return found.map((one) => `${nameOf(endpoint)} as ${caller.mark}: ${one}`);
};

const foreign = (world: World, master: Master) => customersOf(world).find((one) => one.master !== master) as Customer;

export function asCall(relay: Relay): Parameters<typeof tryAll>[0] {
  return (method, path, { key = "", account, body, headers } = {}) => {
    const acting = account === undefined ? {} : { "postmeter-account": account };
    return relay.call(method, path, body, { key, headers: { ...headers, ...acting } });
  };
}

export const deeds = {
  send,
  setLimit,
  topUp,
  setAllowance,
  transition,
  suspend,
  newLogin,
  revoke,
  prove,
  giveUp,
  lend,
  intrude,
} satisfies Record<string, Play>;

export function act(stage: Stage, world: World, { deed, who, other, n }: Deed): Promise<string[]> {
  const customers = customersOf(world);
  const customer = customers[who % customers.length] as Customer;
  return deeds[deed]({
    stage,
    world,
    master: customer.master,
    customer,
    other: customers[other % customers.length] as Customer,
    n,
  });
}
