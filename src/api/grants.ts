/** A master lends a domain of its own to its subaccounts, or takes that back. */
import { z } from "@hono/zod-openapi";
import { findSubaccount } from "../accounts/find.ts";
import { findDomain } from "../domains/domain.ts";
import { type Grantees, grantDomain, withdrawDomain } from "../domains/grant.ts";
import { listGrants } from "../domains/list.ts";
import type { SubaccountId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { domainShape, showDomain } from "./domain-shape.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import { idField, idParams, listOf, pageParams, showId, shownId } from "./fields.ts";
import { pagingOf } from "./paging.ts";

const tag = "Domains";
const changing = { who: owners, scopes: [] } as const;

const newGrants = z
  .strictObject({
    subaccount_ids: z.array(idField("sub")).min(1).max(1000).optional(),
    all: z.literal(true).optional().openapi({ description: "Every subaccount, those to come too." }),
  })
  .refine(({ subaccount_ids: ids, all }) => (ids === undefined) !== (all === undefined), {
    error: "Give either subaccount_ids or all.",
  })
  .openapi("NewGrants", { example: { subaccount_ids: ["sub_01kb2m5xj7e1fr0x4m4f6a0z3q"] } });

export function grantEndpoints(deps: Deps): Endpoint[] {
  return [grant(deps), list(deps), withdraw(deps)];
}

function grant({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/domains/{id}/grants",
      tag,
      summary: "Let subaccounts send from a domain of the master",
      access: changing,
      params: idParams("dom"),
      body: newGrants,
      status: 200,
      answer: domainShape,
    },
    async ({ db, principal, params, body }) => {
      const { subaccount_ids: subaccountIds } = body;
      const to: Grantees = subaccountIds === undefined ? { all: true } : { subaccountIds };
      const domain = await grantDomain(db, principal, params.id, to, clock);
      return { body: showDomain(domain), changed: [{ kind: "domain", name: domain.name }] };
    },
  );
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/domains/{id}/grants",
      tag,
      summary: "To whom a domain is granted by name",
      access: { who: owners, scopes: ["read"] },
      params: idParams("dom"),
      query: z.strictObject(pageParams),
      status: 200,
      answer: listOf(z.strictObject({ subaccount_id: shownId("sub") }).openapi("Grant")),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const domain = await findDomain(call.db, call.principal, call.params.id);
      const rows = await listGrants(call.db, domain, { after: after?.[0] as SubaccountId | undefined, limit });
      return {
        body: page(
          rows,
          (id) => ({ subaccount_id: showId("sub", id) }),
          (id) => [id],
        ),
      };
    },
  );
}

function withdraw({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: "/v1/domains/{id}/grants/{subaccount_id}",
      tag,
      summary: "Take a grant back; `all` takes back the one to all",
      access: changing,
      params: idParams("dom").extend({ subaccount_id: z.union([z.literal("all"), idField("sub")]) }),
      status: 204,
    },
    async ({ db, principal, params }) => {
      const { id, subaccount_id: from } = params;
      const { name } = await findDomain(db, principal, id);
      if (from !== "all") await findSubaccount(db, principal, from, clock);
      await withdrawDomain(db, principal, id, from === "all" ? { all: true } : { subaccountIds: [from] }, clock);
      return { changed: [{ kind: "domain", name }] };
    },
  );
}
