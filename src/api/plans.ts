/** Plans of a master: presets with versions, from which subaccounts get limit and features. */
import { z } from "@hono/zod-openapi";
import { changePlan, createPlan, findPlan, listPlans, listPlanVersions, withdrawPlan } from "../accounts/plans.ts";
import type { PlanId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import { idField, idParams, listOf, pageParams } from "./fields.ts";
import { pagingOf } from "./paging.ts";
import { newPlan, planChange, planShape, planVersionShape, showPlan, showPlanVersion, termsOf } from "./plan-shape.ts";

const tag = "Plans";
const reading = { who: owners, scopes: ["read"] } as const;
const changing = { who: owners, scopes: [] } as const;

export function planEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), list(deps), show(), change(deps), withdraw(deps), versions()];
}

function create({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/plans",
      tag,
      summary: "Create a plan",
      access: { who: ["master"], scopes: [] },
      body: newPlan,
      status: 201,
      answer: planShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { features = {}, price = null, cycle = "monthly", ...given } = termsOf(body);
      const terms = { monthlyLimit: given.monthlyLimit ?? null, features, price, cycle };
      const plan = await createPlan(db, principal, { name: body.name, ...terms }, clock);
      return { body: showPlan(plan, false), version: plan.version };
    },
  );
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/plans",
      tag,
      summary: "Plans that can be chosen, oldest first",
      access: reading,
      query: z.strictObject({
        master_id: idField("mas").optional().openapi({ description: "The operator's choice." }),
        ...pageParams,
      }),
      status: 200,
      answer: listOf(planShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const filter = { after: after?.[0] as PlanId | undefined, limit, masterId: call.query.master_id };
      const plans = await listPlans(call.db, call.principal, filter);
      return {
        body: page(
          plans,
          (plan) => showPlan(plan, call.principal.kind === "operator"),
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
      path: "/v1/plans/{id}",
      tag,
      summary: "One plan, with its terms now",
      access: reading,
      params: idParams("plan"),
      status: 200,
      answer: planShape,
    },
    async ({ db, principal, params }) => {
      const plan = await findPlan(db, principal, params.id);
      return { body: showPlan(plan, principal.kind === "operator"), version: plan.version };
    },
  );
}

function change({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "patch",
      path: "/v1/plans/{id}",
      tag,
      summary: "New terms: the next version of a plan",
      description:
        "Subaccounts keep the version they have until their plan is changed. The name stays: make another plan.",
      access: changing,
      params: idParams("plan"),
      body: planChange,
      status: 200,
      answer: planShape,
    },
    async ({ db, principal, params: { id }, body, ifMatch }) => {
      const version = await versionFor(ifMatch, () => findPlan(db, principal, id));
      const plan = await changePlan(db, principal, id, termsOf(body), { version }, clock);
      return { body: showPlan(plan, principal.kind === "operator"), version: plan.version };
    },
  );
}

function withdraw({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: "/v1/plans/{id}",
      tag,
      summary: "Withdraw a plan: nobody is given it any more, and who has it keeps it",
      access: changing,
      params: idParams("plan"),
      status: 204,
    },
    async ({ db, principal, params }) => {
      await withdrawPlan(db, principal, params.id, clock);
      return {};
    },
  );
}

function versions(): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/plans/{id}/versions",
      tag,
      summary: "All versions of a plan, newest first, with how many subaccounts have each",
      access: reading,
      params: idParams("plan"),
      status: 200,
      answer: z.strictObject({ data: z.array(planVersionShape) }),
    },
    async ({ db, principal, params }) => {
      const all = await listPlanVersions(db, principal, params.id);
      return { body: { data: all.map(showPlanVersion) } };
    },
  );
}
