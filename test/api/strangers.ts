/** All that a stranger may try on every route there is, and what of the others' it was shown. */
import type { Endpoint } from "../../src/api/endpoint.ts";
import type { Answer, Ask } from "./client.ts";
import { sampleBodies } from "./sample-bodies.ts";
import type { Account, Things } from "./world.ts";

export type Call = (method: string, path: string, ask?: Ask) => Promise<Answer>;

/** What the `{...}` of a path stands for. */
const kinds: readonly [start: string, kind: keyof Things][] = [
  ["/v1/masters/", "mas"],
  ["/v1/subaccounts/", "sub"],
  ["/v1/credentials/", "cred"],
  ["/v1/keys/", "key"],
  ["/v1/domains/", "dom"],
  ["/v1/members/", "mem"],
  ["/v1/me/sessions/", "ses"],
  ["/v1/messages/", "msg"],
  ["/v1/queue/", "msg"],
  ["/v1/captured/", "cap"],
  ["/v1/statements/", "stm"],
  ["/v1/views/", "view"],
  ["/v1/imports/", "imp"],
  ["/v1/reviews/", "rev"],
  ["/v1/bulk_changes/", "blk"],
  ["/v1/plans/", "plan"],
  ["/v1/templates/", "tpl"],
  ["/v1/billing_profiles/", "bil"],
  ["/v1/rate_cards/", "rat"],
  ["/v1/transfers/", "tra"],
  ["/v1/erasures/", "era"],
  ["/v1/alert_rules/", "rul"],
];

/** Slugs are names of the whole platform: none is the thing of a tenant. */
export const isThing = ({ definition: { path } }: Endpoint): boolean => path.includes("{") && !path.includes("{slug}");

export function pathOf({ definition }: Endpoint, things: Things): string {
  const kind = kinds.find(([start]) => definition.path.startsWith(start))?.[1];
  const path = definition.path.replace("{subaccount_id}", things.sub).replace("{slug}", "a-slug");
  if (kind === undefined && path.includes("{")) throw new Error(`what is the id of ${definition.path}?`);
  return path.replace(/\{\w+\}/, kind === undefined ? "" : things[kind]);
}

export const nameOf = ({ definition: { method, path } }: Endpoint): string => `${method.toUpperCase()} ${path}`;

/** What of others stands in the body or a header. */
export function shownOf(others: readonly Account[], mine: readonly string[], answer: Answer): string[] {
  const text = `${answer.text} ${JSON.stringify([...answer.headers])}`;
  return others.flatMap(({ marks }) => marks).filter((mark) => !mine.includes(mark) && text.includes(mark));
}

/** `as`: whom the operator acts for, who is the caller then. */
export type Stranger = Readonly<{ caller: Account; others: readonly Account[]; as?: string }>;

/** Ids of others in every path, lists, filters, representations, and If-Match. Each line is something that was shown, or let through. */
export async function tryAll(call: Call, endpoints: readonly Endpoint[], { caller, others, as }: Stranger) {
  const found: string[] = [];
  const look = (what: string, answer: Answer, wanted: readonly number[]) => {
    for (const mark of shownOf(others, caller.marks, answer)) found.push(`${what} shows ${mark}`);
    if (!wanted.includes(answer.status)) found.push(`${what} is ${answer.status}`);
  };
  for (const endpoint of endpoints) {
    const body = sampleBodies[nameOf(endpoint)];
    const acting = as === undefined ? {} : { account: as };
    const ask = { key: caller.key, ...acting, ...(body === undefined ? {} : { body }) };
    for (const { things } of others) await tryThings({ call, endpoint, ask, look }, things, caller.things);
    if (endpoint.definition.method === "get") await tryTypes({ call, endpoint, ask, look }, caller.things);
  }
  return found;
}

type Try = Readonly<{
  call: Call;
  endpoint: Endpoint;
  ask: Ask;
  look: (what: string, answer: Answer, wanted: readonly number[]) => void;
}>;

async function tryThings({ call, endpoint, ask, look }: Try, theirs: Things, mine: Things): Promise<void> {
  const { definition } = endpoint;
  const name = nameOf(endpoint);
  const method = definition.method.toUpperCase();
  const hasId = isThing(endpoint);
  for (const match of hasId ? ["", "*", '"1"'] : []) {
    const headers: Record<string, string> = match === "" ? {} : { "If-Match": match };
    look(`${name} of another`, await call(method, pathOf(endpoint, theirs), { ...ask, headers }), [403, 404]);
  }
  // The operator may act for whom it wants.
  if (ask.account === undefined) {
    const account = { ...ask, account: theirs.sub };
    look(`${name} for another`, await call(method, pathOf(endpoint, mine), account), [404]);
  }
  for (const filter of method === "GET" && !hasId ? filtersOf(theirs) : []) {
    look(`${name}?${filter}`, await call("GET", `${definition.path}?${filter}`, ask), [200, 403, 404, 422]);
  }
}

/** The own things, in each representation. */
async function tryTypes({ call, endpoint, ask, look }: Try, mine: Things): Promise<void> {
  for (const type of ["application/json", ...Object.keys(endpoint.definition.also ?? {})]) {
    const answer = await call("GET", pathOf(endpoint, mine), { ...ask, headers: { Accept: type } });
    look(`${nameOf(endpoint)} as ${type}`, answer, [200, 403, 404, 406]);
  }
}

function filtersOf(things: Things): string[] {
  const ids = [`subaccount_id=${things.sub}`, `message_id=${things.msg}`, `master_id=${things.mas}`];
  return [...ids, "q=STRANGER", "external_id=ext-STRANGER", "plan=plan-STRANGER", "recipient=to@STRANGER.example"];
}
