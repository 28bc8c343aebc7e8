/**
 * Invented resellers with their customers, and what each of them may do: a model so small that one can believe it.
 *
 * It says nothing of the order in which the program looks at things: a send that something hinders must be refused, for one
 * of the reasons there are; one that nothing hinders must be accepted.
 */
import type { Account } from "../api/world.ts";
import type { Sent } from "../support/sessions.ts";

export type Login = { id: string; username: string; password: string; revoked: boolean };

export type Customer = {
  kind: "customer";
  id: string;
  key: string;
  keyId: string;
  mark: string;
  master: Master;
  limit: number | null;
  topUp: number;
  used: number;
  state: "active" | "disabled" | "closed";
  before: "active" | "disabled"; // it was closed
  suspended: boolean;
  logins: Login[];
};

export type Master = {
  kind: "master";
  id: string;
  key: string;
  keyId: string;
  mark: string;
  allowance: number;
  suspended: boolean;
  anySender: boolean;
  customers: Customer[];
};

/** `proof`: what the owner publishes. */
export type Domain = {
  id: string;
  name: string;
  proof: string;
  owner: Master | Customer;
  proved: boolean;
  lent: Set<Customer>;
};

export type World = {
  masters: Master[];
  domains: Domain[];
  /** Those that somebody may prove; one is under another. */
  names: readonly string[];
  sent: Sent[];
};

export const customersOf = ({ masters }: World): Customer[] => masters.flatMap(({ customers }) => customers);
export const usedOf = ({ customers }: Master): number => customers.reduce((sum, { used }) => sum + used, 0);

export function shownState({ state, suspended, master }: Customer): string {
  if (state === "closed") return state;
  return suspended || master.suspended ? "suspended" : state;
}

/** With its own key it may change things, and with its logins send. */
export function isFree(account: Master | Customer): boolean {
  return account.kind === "master" ? !account.suspended : shownState(account) === "active";
}

const isUnder = (name: string, domain: string) => name === domain || name.endsWith(`.${domain}`);

/** The longest proved name decides. */
export function mayUse({ domains }: World, customer: Customer, name: string): boolean {
  const proved = domains.filter((domain) => domain.proved && isUnder(name, domain.name));
  const [holder] = proved.sort((a, b) => b.name.length - a.name.length);
  if (holder === undefined) return customer.master.anySender;
  return holder.owner === customer || (holder.owner === customer.master && holder.lent.has(customer));
}

export type Reason = "login" | "state" | "sender" | "limit";

export type Try = Readonly<{ customer: Customer; login: Login; units: number; domains: readonly string[] }>;

/** Why this may not be sent now. */
export function hindrances(world: World, { customer, login, units, domains }: Try): Reason[] {
  const { master, limit, topUp, used } = customer;
  const over = (limit !== null && used + units > limit + topUp) || usedOf(master) + units > master.allowance;
  const reasons: (Reason | false)[] = [
    login.revoked && "login",
    !isFree(customer) && "state",
    domains.some((name) => !mayUse(world, customer, name)) && "sender",
    over && "limit",
  ];
  return reasons.filter((reason) => reason !== false);
}

/** The reason that a reply gives; undefined for any other reply. */
export function reasonOf(reply: string): Reason | undefined {
  const patterns: readonly [Reason, RegExp][] = [
    ["login", /535 5\.7\.8|421 4\.7\.0 Too many failed|550 5\.7\.1 These credentials/],
    ["state", /525 5\.7\.13|550 5\.7\.1 Account (is|may not send)/],
    ["sender", /550 5\.7\.1 Sender domain/],
    ["limit", /550 5\.4\.5/],
  ];
  return patterns.find(([, pattern]) => pattern.test(reply))?.[0];
}

/** An id that nothing has. */
const none = (kind: string) => `${kind}_01kb0000000000000000000000`;

/** As the table of strangers (test/api/strangers.ts) takes it: what it calls its own, and the texts to know it by. */
export function viewOf(world: World, account: Master | Customer): Account {
  const customers = account.kind === "master" ? account.customers : [account];
  const [first] = customers as [Customer, ...Customer[]];
  const own = (domain: Domain) => domain.owner === account || customers.includes(domain.owner as Customer);
  const domains = world.domains.filter(own).map(({ id }) => id);
  const messages = world.sent.filter(({ subaccountId }) => customers.some(({ id }) => id === subaccountId));
  const ids = messages.flatMap(({ messageId = [] }) => messageId);
  const marks = customers.flatMap(({ id, mark, logins, keyId }) => [
    id,
    mark,
    keyId,
    ...logins.flatMap((login) => [login.id, login.username]),
  ]);
  const things = {
    mas: account.kind === "master" ? account.id : account.master.id,
    sub: first.id,
    cred: first.logins[0]!.id,
    key: account.keyId,
    dom: domains[0] ?? none("dom"),
    msg: ids[0] ?? none("msg"),
    cap: none("cap"),
    stm: none("stm"),
    mem: none("mem"),
    ses: none("ses"),
    view: none("view"),
    imp: none("imp"),
    rev: none("rev"),
    blk: none("blk"),
    plan: none("plan"),
    tpl: none("tpl"),
    bil: none("bil"),
    rat: none("rat"),
    tra: none("tra"),
    era: none("era"),
    rul: none("rul"),
  };
  const asMaster = account.kind === "master" ? [account.id, account.mark, account.keyId] : [];
  return { key: account.key, things, marks: [...marks, ...domains, ...ids, ...asMaster] };
}
