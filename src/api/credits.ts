/** Credits: packs that a master has bought, and what of them its subaccounts were given. */
import { z } from "@hono/zod-openapi";
import { findSubaccount } from "../accounts/find.ts";
import type { CreditLotId, CreditPackId } from "../platform/ids.ts";
import { addPack, allocateCredits, type CreditLot, type CreditPack, listLots, listPacks } from "../quota/credits.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone, operatorOnly, owners } from "./endpoint.ts";
import {
  idField,
  idParams,
  instant,
  instantField,
  listOf,
  pageParams,
  showId,
  showInstant,
  shownId,
  text,
  units,
} from "./fields.ts";
import { pagingOf } from "./paging.ts";

const tag = "Credits";

const packShape = z
  .strictObject({
    id: shownId("pack"),
    master_id: shownId("mas"),
    units: z.int(),
    allocated: z.int().openapi({ description: "Given to subaccounts." }),
    left: z.int().openapi({ description: "Still to give; none of a pack that has expired." }),
    note: z.string().nullable(),
    expires_at: instant.nullable(),
    created_at: instant,
  })
  .openapi("CreditPack");

const lotShape = z
  .strictObject({
    id: shownId("lot"),
    units: z.int(),
    spent: z.int(),
    expires_at: instant.nullable(),
    created_at: instant,
  })
  .openapi("CreditLot");

export function creditEndpoints(deps: Deps): Endpoint[] {
  return [buy(deps), packs(deps), allocate(deps), lots(deps)];
}

function buy({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/credits",
      tag,
      summary: "Add a pack of credits to a master",
      access: { who: operatorOnly, scopes: [] },
      body: z
        .strictObject({
          master_id: idField("mas"),
          units,
          expires_at: instantField.nullable().optional(),
          note: text(500).nullable().optional(),
        })
        .openapi("NewCreditPack", {
          example: {
            master_id: "mas_01kb2m5xj7e1fr0x4m4f6a0z3q",
            units: 50_000,
            note: "invoice 2026-114",
            expires_at: "2027-12-31T00:00:00Z",
          },
        }),
      status: 201,
      answer: packShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { master_id: masterId, units: bought, expires_at: expiresAt, note } = body;
      return { body: showPack(await addPack(db, principal, { masterId, units: bought, expiresAt, note }, clock)) };
    },
  );
}

function packs(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/credits",
      tag,
      summary: "Packs of credits, oldest first",
      access: { who: owners, scopes: ["read", "billing"] },
      query: z.strictObject({
        master_id: idField("mas").optional().openapi({ description: "The operator's choice." }),
        ...pageParams,
      }),
      status: 200,
      answer: listOf(packShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const filter = { masterId: call.query.master_id, after: after?.[0] as CreditPackId | undefined, limit };
      return { body: page(await listPacks(call.db, call.principal, filter), showPack, ({ id }) => [id]) };
    },
  );
}

function allocate({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/{id}/credits",
      tag,
      summary: "Give credits to a subaccount, those that expire first",
      description: "Used after limit and top-ups; they lift the master's cap too.",
      access: { who: owners, scopes: [] },
      params: idParams("sub"),
      body: z.strictObject({ units }).openapi("CreditAllocation", { example: { units: 10_000 } }),
      status: 201,
      answer: z.strictObject({ lots: z.array(lotShape) }),
      idempotent: true,
    },
    async ({ db, principal, params, body }) => {
      const subaccount = await findSubaccount(db, principal, params.id, clock);
      const made = await allocateCredits(db, principal, subaccount, body.units, clock);
      return { body: { lots: made.map(showLot) }, changed: [{ kind: "subaccount", id: params.id }] };
    },
  );
}

function lots(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/subaccounts/{id}/credits",
      tag,
      summary: "Credits that a subaccount was given, oldest first",
      access: { who: everyone, scopes: ["read", "billing"] },
      params: idParams("sub"),
      query: z.strictObject(pageParams),
      status: 200,
      answer: listOf(lotShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const subaccount = await findSubaccount(call.db, call.principal, call.params.id, deps.clock);
      const found = await listLots(call.db, subaccount, { after: after?.[0] as CreditLotId | undefined, limit });
      return { body: page(found, showLot, ({ id }) => [id]) };
    },
  );
}

function showPack({ id, masterId, units: bought, allocated, left, note, expiresAt, createdAt }: CreditPack) {
  const times = { expires_at: showInstant(expiresAt), created_at: showInstant(createdAt) };
  return { id: showId("pack", id), master_id: showId("mas", masterId), units: bought, allocated, left, note, ...times };
}

function showLot({ id, units: given, spent, expiresAt, createdAt }: CreditLot): z.output<typeof lotShape> {
  const times = { expires_at: showInstant(expiresAt), created_at: showInstant(createdAt) };
  return { id: showId("lot", id), units: given, spent, ...times };
}
