/** Subaccounts: created, listed, shown, changed. */
import { z } from "@hono/zod-openapi";
import type { Subaccount } from "../accounts/account.ts";
import { createSubaccount } from "../accounts/create-subaccount.ts";
import { findSubaccount } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import { subaccountFields } from "../accounts/subaccount-fields.ts";
import { readUsages } from "../metering/usage.ts";
import type { Db } from "../platform/database.ts";
import type { Deps } from "./deps.ts";
import { detailsOf } from "./details.ts";
import { type Answer, type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { idParams, showId, shownId } from "./fields.ts";
import { newSubaccount, showSubaccount, subaccountShape } from "./subaccount-shape.ts";

const tag = "Subaccounts";

const createdShape = subaccountShape
  .extend({
    credential: z
      .strictObject({ id: shownId("cred"), username: z.string(), password: z.string() })
      .optional()
      .openapi({ description: "With `handover`: shown once." }),
  })
  .openapi("CreatedSubaccount");

export function subaccountEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), show(deps)];
}

/** With the usage of the running period, read in the same transaction. */
export async function shownSubaccount(
  db: Db,
  principal: Principal,
  subaccount: Subaccount,
  { clock }: Pick<Deps, "clock">,
): Promise<z.output<typeof subaccountShape>> {
  const usages = await readUsages(db, principal, [subaccount], clock);
  return showSubaccount(subaccount, usages.get(subaccount.id)!, principal);
}

function create(deps: Deps): Endpoint {
  const { keyring, clock } = deps;
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts",
      tag,
      summary: "Create a subaccount with its first credential",
      access: { who: ["master"], scopes: [] },
      body: newSubaccount,
      status: 201,
      answer: createdShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { name, monthly_limit: monthlyLimit, onboarding } = body;
      const input = { ...detailsOf(subaccountFields, body), name, monthlyLimit, onboarding };
      const { subaccount, credential } = await createSubaccount(db, principal, input, keyring, clock);
      const shown = await shownSubaccount(db, principal, subaccount, deps);
      if (credential === null) return { body: shown, version: subaccount.version };
      const { id, username } = credential.credential;
      const handedOver = { id: showId("cred", id), username, password: credential.password };
      return { body: { ...shown, credential: handedOver }, version: subaccount.version };
    },
  );
}

function show(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/subaccounts/{id}",
      tag,
      summary: "One subaccount with its usage",
      access: { who: everyone, scopes: ["read"] },
      params: idParams("sub"),
      status: 200,
      answer: subaccountShape,
    },
    async ({ db, principal, params }): Promise<Answer<typeof subaccountShape>> => {
      const subaccount = await findSubaccount(db, principal, params.id, deps.clock);
      return { body: await shownSubaccount(db, principal, subaccount, deps), version: subaccount.version };
    },
  );
}
