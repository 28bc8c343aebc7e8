/** Renewing a subaccount that has expired, was closed, or is about to end. */
import { z } from "@hono/zod-openapi";
import { findSubaccount } from "../accounts/find.ts";
import { renewSubaccount } from "../accounts/renew.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import { idParams, instantField, line } from "./fields.ts";
import { monthlyLimit, subaccountShape } from "./subaccount-shape.ts";
import { shownSubaccount } from "./subaccounts.ts";

const renewal = z
  .strictObject({
    expires_at: instantField.nullable().optional().openapi({ description: "Null: no end date." }),
    months: z.int().min(1).max(120).optional().openapi({
      example: 12,
      description: "From its end date, or from now where that has passed. Without either: one cycle of its plan.",
    }),
    plan: line(100).optional().openapi({ description: "Another plan, from now on." }),
    billing_profile: line(100).nullable().optional(),
    monthly_limit: monthlyLimit.optional().openapi({ description: "Instead of the plan's." }),
  })
  .openapi("Renewal", { example: { months: 12 } });

export function renewEndpoints(deps: Deps): Endpoint[] {
  const { clock } = deps;
  return [
    endpoint(
      {
        method: "post",
        path: "/v1/subaccounts/{id}/renew",
        tag: "Subaccounts",
        summary: "Another end date; a closed one is reopened",
        access: { who: owners, scopes: [] },
        params: idParams("sub"),
        body: renewal,
        bodyOptional: true,
        status: 200,
        answer: subaccountShape,
      },
      async ({ db, principal, params: { id }, body, ifMatch }) => {
        const version = await versionFor(ifMatch, () => findSubaccount(db, principal, id, clock));
        const { expires_at: expiresAt, months, plan, monthly_limit: limit, billing_profile: billingProfile } = body;
        const wanted = { expiresAt, months, plan, monthlyLimit: limit, billingProfile };
        const changed = await renewSubaccount(db, principal, id, wanted, { version }, clock);
        const shown = await shownSubaccount(db, principal, changed, deps);
        return { body: shown, version: changed.version, changed: [{ kind: "subaccount", id }] };
      },
    ),
  ];
}
