/** Another plan for a subaccount, now or with the next period. */
import { z } from "@hono/zod-openapi";
import { findSubaccount } from "../accounts/find.ts";
import { cancelNextPlan, switchPlan } from "../accounts/switch-plan.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import { idParams, line } from "./fields.ts";
import { monthlyLimit, subaccountShape } from "./subaccount-shape.ts";
import { shownSubaccount } from "./subaccounts.ts";

const tag = "Plans";
const access = { who: owners, scopes: [] } as const;

const switchShape = z
  .strictObject({
    plan: line(100).openapi({ example: "Starter", description: "The name of a plan of the master." }),
    when: z.enum(["now", "next_period"]).optional().openapi({ description: "`now` (default) or `next_period`." }),
    monthly_limit: monthlyLimit.optional().openapi({ description: "Instead of the plan's." }),
  })
  .openapi("PlanSwitch", { example: { plan: "Business", when: "next_period" } });

export function planSwitchEndpoints(deps: Deps): Endpoint[] {
  return [change(deps), cancel(deps)];
}

function change(deps: Deps): Endpoint {
  const { clock } = deps;
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/{id}/plan",
      tag,
      summary: "Upgrade or downgrade, now or from the next period",
      description:
        "`now` rules the next message. A limit below what is used already is allowed: the subaccount stops sending until the next period, and `usage.remaining` is 0. `next_period` rules from the first instant of the period that starts next; until then it is shown as `next_plan`, and can be called off.",
      access,
      params: idParams("sub"),
      body: switchShape,
      status: 200,
      answer: subaccountShape,
    },
    async ({ db, principal, params: { id }, body, ifMatch }) => {
      const version = await versionFor(ifMatch, () => findSubaccount(db, principal, id, clock));
      const wanted = { plan: body.plan, when: body.when ?? ("now" as const), monthlyLimit: body.monthly_limit };
      const changed = await switchPlan(db, principal, id, wanted, { version }, clock);
      const shown = await shownSubaccount(db, principal, changed, deps);
      return { body: shown, version: changed.version, changed: [{ kind: "subaccount", id }] };
    },
  );
}

function cancel(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: "/v1/subaccounts/{id}/next_plan",
      tag,
      summary: "Call off the plan that was to take over with the next period",
      access,
      params: idParams("sub"),
      status: 200,
      answer: subaccountShape,
    },
    async ({ db, principal, params: { id } }) => {
      const changed = await cancelNextPlan(db, principal, id, deps.clock);
      const shown = await shownSubaccount(db, principal, changed, deps);
      return { body: shown, version: changed.version, changed: [{ kind: "subaccount", id }] };
    },
  );
}
