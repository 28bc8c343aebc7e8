/** Masters: the operator's view. */
import { z } from "@hono/zod-openapi";
import { createMaster } from "../accounts/create-master.ts";
import { findMaster } from "../accounts/find.ts";
import { masterFields } from "../accounts/master-fields.ts";
import type { Deps } from "./deps.ts";
import { detailsOf } from "./details.ts";
import { type Endpoint, endpoint, operatorOnly } from "./endpoint.ts";
import { idParams, showId, shownId } from "./fields.ts";
import { masterShape, newMaster, showMaster } from "./master-shape.ts";

const tag = "Masters";
const access = { who: operatorOnly, scopes: [] } as const;

const createdShape = masterShape
  .extend({
    api_key: z
      .strictObject({ id: shownId("key"), key: z.string() })
      .openapi({ description: "Its first key, shown once." }),
  })
  .openapi("CreatedMaster");

export function masterEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), show(deps)];
}

function create({ keyring, clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/masters",
      tag,
      summary: "Create a master with its own subaccount and its first key",
      access,
      body: newMaster,
      status: 201,
      answer: createdShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { name, allowance, notification_emails: notificationEmails } = body;
      const input = { ...detailsOf(masterFields, body), name, allowance, notificationEmails };
      const { master, apiKey } = await createMaster(db, principal, input, keyring, clock);
      const api_key = { id: showId("key", apiKey.apiKey.id), key: apiKey.key };
      return { body: { ...showMaster(master), api_key }, version: master.version };
    },
  );
}

function show({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/masters/{id}",
      tag,
      summary: "One master",
      access,
      params: idParams("mas"),
      status: 200,
      answer: masterShape,
    },
    async ({ db, principal, params }) => {
      const master = await findMaster(db, principal, params.id, clock);
      return { body: showMaster(master), version: master.version };
    },
  );
}
