/** Sender domains: claimed, proven by a TXT record, given up. */
import { z } from "@hono/zod-openapi";
import { addDomain } from "../domains/add.ts";
import { findDomain } from "../domains/domain.ts";
import { listDomains } from "../domains/list.ts";
import { createTxtLookup } from "../domains/lookup.ts";
import { removeDomain } from "../domains/remove.ts";
import { verifyDomain } from "../domains/verify.ts";
import type { DomainId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { domainShape, domainStates, showDomain } from "./domain-shape.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { idParams, line, listOf, noMembers, pageParams } from "./fields.ts";
import { flagParam, someOf } from "./list-params.ts";
import { pagingOf } from "./paging.ts";

const tag = "Domains";
const reading = { who: everyone, scopes: ["read"] } as const;
const changing = { who: everyone, scopes: ["develop"] } as const;
const newDomain = z.strictObject({ name: line(253) }).openapi("NewDomain", { example: { name: "acme.example" } });
const listParams = { state: someOf(domainStates).optional(), ...pageParams };

export function domainEndpoints(deps: Deps): Endpoint[] {
  return [...adding(deps), list(deps), listOfSubaccount(deps), show(), verify(deps), remove(deps)];
}

function adding({ clock }: Deps): Endpoint[] {
  const common = { method: "post", tag, body: newDomain, status: 201, answer: domainShape, idempotent: true } as const;
  return [
    endpoint(
      {
        ...common,
        path: "/v1/domains",
        summary: "Claim a domain for the caller's own account",
        description: "It reserves nothing until it is verified. A master's own can be granted to its subaccounts.",
        access: { who: ["master", "subaccount"], scopes: ["develop"] },
      },
      async ({ db, principal, body }) => ({
        body: showDomain(await addDomain(db, principal, undefined, body, clock)),
      }),
    ),
    endpoint(
      {
        ...common,
        path: "/v1/subaccounts/{id}/domains",
        summary: "Claim a domain for a subaccount",
        access: changing,
        params: idParams("sub"),
      },
      async ({ db, principal, params, body }) => ({
        body: showDomain(await addDomain(db, principal, params.id, body, clock)),
      }),
    ),
  ];
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/domains",
      tag,
      summary: "Sender domains",
      access: reading,
      query: z.strictObject({
        own: flagParam.optional().openapi({ description: "Only masters' own." }),
        ...listParams,
      }),
      status: 200,
      answer: listOf(domainShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const { own: mastersOwn, state: states } = call.query;
      const filter = { mastersOwn, states, after: after?.[0] as DomainId | undefined, limit };
      const rows = await listDomains(call.db, call.principal, filter, deps.clock);
      return { body: page(rows, showDomain, ({ id }) => [id]) };
    },
  );
}

function listOfSubaccount(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/subaccounts/{id}/domains",
      tag,
      summary: "The domains of a subaccount, with those it is granted",
      access: reading,
      params: idParams("sub"),
      query: z.strictObject(listParams),
      status: 200,
      answer: listOf(domainShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const { params, query } = call;
      const filter = { subaccount: params.id, states: query.state, after: after?.[0] as DomainId | undefined, limit };
      const rows = await listDomains(call.db, call.principal, filter, deps.clock);
      return { body: page(rows, showDomain, ({ id }) => [id]) };
    },
  );
}

function show(): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/domains/{id}",
      tag,
      summary: "One domain with the records to publish",
      access: reading,
      params: idParams("dom"),
      status: 200,
      answer: domainShape,
    },
    async ({ db, principal, params }) => ({ body: showDomain(await findDomain(db, principal, params.id)) }),
  );
}

function verify({ clock, config }: Deps): Endpoint {
  const lookup = createTxtLookup(config.dnsServers);
  return endpoint(
    {
      method: "post",
      path: "/v1/domains/{id}/verify",
      tag,
      summary: "Look its records up now",
      access: changing,
      params: idParams("dom"),
      body: noMembers,
      bodyOptional: true,
      status: 200,
      answer: domainShape,
    },
    async ({ db, principal, params }) => {
      const domain = await verifyDomain(db, principal, params.id, lookup, clock);
      return { body: showDomain(domain), changed: [{ kind: "domain", name: domain.name }] };
    },
  );
}

function remove({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: "/v1/domains/{id}",
      tag,
      summary: "Give a domain up",
      access: changing,
      params: idParams("dom"),
      status: 204,
    },
    async ({ db, principal, params }) => {
      const { name } = await findDomain(db, principal, params.id);
      await removeDomain(db, principal, params.id, clock);
      return { changed: [{ kind: "domain", name }] };
    },
  );
}
