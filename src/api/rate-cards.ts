/** Rate cards: the operator's price masters, a master's price its subaccounts. */
import { z } from "@hono/zod-openapi";
import type { RateCardId } from "../platform/ids.ts";
import { findRateCard, listRateCards, listRateCardVersions, type RateCard } from "../prices/rate-card.ts";
import { changeRateCard, createRateCard, withdrawRateCard } from "../prices/rate-cards.ts";
import { priceFields } from "../prices/terms.ts";
import type { Deps } from "./deps.ts";
import { detailsOf } from "./details.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import { idField, idParams, listOf, pageParams } from "./fields.ts";
import { pagingOf } from "./paging.ts";
import * as shape from "./price-shape.ts";

const tag = "Prices";
const reading = { who: owners, scopes: ["billing", "read"] } as const;
const changing = { who: owners, scopes: [] } as const;

export function rateCardEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), list(deps), show(), change(deps), withdraw(deps), versions(deps)];
}

function create({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/rate_cards",
      tag,
      summary: "Create a rate card",
      description:
        "The operator's are for masters, a master's for its subaccounts. Without `included_units` all are included; without `overage_per_1000` those above cost nothing.",
      access: changing,
      body: shape.newRateCard,
      status: 201,
      answer: shape.rateCardShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { name, currency, price_minor: priceMinor, cycle = "month", is_default: isDefault } = body;
      const { included_units: includedUnits = null, ceiling_minor: ceilingMinor = null } = body;
      const overagePer1000 = body.overage_per_1000 ?? "0";
      const terms = { currency, priceMinor, cycle, includedUnits, overagePer1000, ceilingMinor };
      const card = await createRateCard(db, principal, { name, isDefault, ...terms }, clock);
      return shown(card, principal.kind);
    },
  );
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/rate_cards",
      tag,
      summary: "Rate cards that can be given, oldest first",
      access: reading,
      query: z.strictObject({
        master_id: idField("mas").optional().openapi({ description: "The operator's choice; else its own cards." }),
        ...pageParams,
      }),
      status: 200,
      answer: listOf(shape.rateCardShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const filter = { after: after?.[0] as RateCardId | undefined, limit, masterId: call.query.master_id };
      const cards = await listRateCards(call.db, call.principal, filter);
      const withMaster = call.principal.kind === "operator";
      return {
        body: page(
          cards,
          (card) => shape.showRateCard(card, withMaster),
          ({ id }) => [id],
        ),
      };
    },
  );
}

const one = { tag, params: idParams("rat"), status: 200, answer: shape.rateCardShape } as const;

function show(): Endpoint {
  return endpoint(
    {
      ...one,
      method: "get",
      path: "/v1/rate_cards/{id}",
      summary: "One rate card, with its terms now",
      access: reading,
    },
    async ({ db, principal, params }) => shown(await findRateCard(db, principal, params.id), principal.kind),
  );
}

function change({ clock }: Deps): Endpoint {
  return endpoint(
    {
      ...one,
      method: "patch",
      path: "/v1/rate_cards/{id}",
      summary: "New terms: the next version of a rate card",
      description:
        "Accounts keep the version that they have, and so does the default, unless `apply_to_existing` is true. Name and currency stay: make another card.",
      access: changing,
      body: shape.rateCardChange,
    },
    async ({ db, principal, params: { id }, body, ifMatch }) => {
      const version = await versionFor(ifMatch, () => findRateCard(db, principal, id));
      const { is_default: isDefault, apply_to_existing: applyToExisting } = body;
      const patch = { ...detailsOf(termFields, body), isDefault, applyToExisting };
      return shown(await changeRateCard(db, principal, id, patch, { version }, clock), principal.kind);
    },
  );
}

const { currency: _, ...termFields } = priceFields;

function withdraw({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: "/v1/rate_cards/{id}",
      tag,
      summary: "Withdraw a rate card: nobody is given it any more, and who has it keeps it",
      access: changing,
      params: idParams("rat"),
      status: 204,
    },
    async ({ db, principal, params }) => {
      await withdrawRateCard(db, principal, params.id, clock);
      return {};
    },
  );
}

function versions({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/rate_cards/{id}/versions",
      tag,
      summary: "All versions of a rate card, newest first, with how many accounts have each",
      access: reading,
      params: idParams("rat"),
      status: 200,
      answer: z.strictObject({ data: z.array(shape.rateCardVersionShape) }),
    },
    async ({ db, principal, params }) => {
      const all = await listRateCardVersions(db, principal, params.id, clock);
      return { body: { data: all.map(shape.showRateCardVersion) } };
    },
  );
}

function shown(card: RateCard, kind: "operator" | "master") {
  return { body: shape.showRateCard(card, kind === "operator"), version: card.version };
}
