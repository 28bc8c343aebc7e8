/** Billing profiles, to which subaccounts belong by name. */
import { z } from "@hono/zod-openapi";
import {
  type BillingProfile,
  billingProfileFields,
  changeBillingProfile,
  createBillingProfile,
  deleteBillingProfile,
  findBillingProfile,
  listBillingProfiles,
} from "../accounts/billing-profiles.ts";
import { currency } from "../accounts/plan-fields.ts";
import type { BillingProfileId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { detailsOf } from "./details.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import * as field from "./fields.ts";
import { pagingOf } from "./paging.ts";

const tag = "Billing profiles";
const reading = { who: owners, scopes: ["billing", "read"] } as const;
const changing = { who: owners, scopes: [] } as const;

const currencyField = field.ruled(z.string(), currency).openapi({ example: "EUR", description: "ISO 4217." });
const optional = {
  cost_centre: field.line(100).nullable().optional(),
  address: field.text(1000).nullable().optional(),
  is_default: z
    .boolean()
    .optional()
    .openapi({ description: "Of the subaccounts that name none. It takes the place of the default before." }),
};

const newProfile = z
  .strictObject({ name: field.line(100), currency: currencyField, ...optional })
  .openapi("NewBillingProfile", {
    example: {
      name: "Shops in Germany",
      currency: "EUR",
      cost_centre: "4711",
      address: "Acme Hosting GmbH\nHafenstrasse 1\n20457 Hamburg",
      is_default: true,
    },
  });

const profileChange = z
  .strictObject({ currency: currencyField.optional(), ...optional })
  .openapi("BillingProfileChange", { example: { cost_centre: "4712", is_default: true } });

const profileShape = z
  .strictObject({
    id: field.shownId("bil"),
    master_id: field.shownId("mas").optional().openapi({ description: "Only the operator sees it." }),
    name: z.string().openapi({ description: "By it a subaccount says to which it belongs: `billing_profile`." }),
    currency: z.string(),
    cost_centre: z.string().nullable(),
    address: z.string().nullable(),
    is_default: z.boolean(),
    created_at: field.instant,
    updated_at: field.instant,
  })
  .openapi("BillingProfile");

export function billingProfileEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), list(deps), show(), change(deps), remove(deps)];
}

function create({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/billing_profiles",
      tag,
      summary: "Create a billing profile",
      description: "Its name stays. Subaccounts that have that name as `billing_profile` belong to it at once.",
      access: { who: ["master"], scopes: [] },
      body: newProfile,
      status: 201,
      answer: profileShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { name, currency } = body;
      const input = { ...detailsOf(billingProfileFields, body), name, currency };
      const profile = await createBillingProfile(db, principal, input, clock);
      return { body: showProfile(profile, false), version: profile.version };
    },
  );
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/billing_profiles",
      tag,
      summary: "Billing profiles, oldest first",
      access: reading,
      query: z.strictObject({
        master_id: field.idField("mas").optional().openapi({ description: "The operator's choice." }),
        ...field.pageParams,
      }),
      status: 200,
      answer: field.listOf(profileShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const filter = { after: after?.[0] as BillingProfileId | undefined, limit, masterId: call.query.master_id };
      const found = await listBillingProfiles(call.db, call.principal, filter);
      const withMaster = call.principal.kind === "operator";
      return {
        body: page(
          found,
          (one) => showProfile(one, withMaster),
          ({ id }) => [id],
        ),
      };
    },
  );
}

function show(): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/billing_profiles/{id}",
      tag,
      summary: "One billing profile",
      access: reading,
      params: field.idParams("bil"),
      status: 200,
      answer: profileShape,
    },
    async ({ db, principal, params }) => {
      const profile = await findBillingProfile(db, principal, params.id);
      return { body: showProfile(profile, principal.kind === "operator"), version: profile.version };
    },
  );
}

function change({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "patch",
      path: "/v1/billing_profiles/{id}",
      tag,
      summary: "Change a billing profile, all but its name",
      access: changing,
      params: field.idParams("bil"),
      body: profileChange,
      status: 200,
      answer: profileShape,
    },
    async ({ db, principal, params: { id }, body, ifMatch }) => {
      const version = await versionFor(ifMatch, () => findBillingProfile(db, principal, id));
      const patch = detailsOf(billingProfileFields, body);
      const profile = await changeBillingProfile(db, principal, id, patch, { version }, clock);
      return { body: showProfile(profile, principal.kind === "operator"), version: profile.version };
    },
  );
}

function remove({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: "/v1/billing_profiles/{id}",
      tag,
      summary: "Delete a billing profile; the default stays, and one to which subaccounts belong",
      access: changing,
      params: field.idParams("bil"),
      status: 204,
    },
    async ({ db, principal, params }) => {
      await deleteBillingProfile(db, principal, params.id, clock);
      return {};
    },
  );
}

function showProfile(profile: BillingProfile, withMaster: boolean): z.output<typeof profileShape> {
  const { name, currency, costCentre, address, isDefault } = profile;
  return {
    id: field.showId("bil", profile.id),
    ...(withMaster ? { master_id: field.showId("mas", profile.masterId) } : {}),
    name,
    currency,
    cost_centre: costCentre,
    address,
    is_default: isDefault,
    created_at: field.showInstant(profile.createdAt),
    updated_at: field.showInstant(profile.updatedAt),
  };
}
