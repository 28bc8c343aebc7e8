/** API keys. The key is in the answer that makes it, and nowhere else. */
import { z } from "@hono/zod-openapi";
import { type ApiKey, createKey, listKeys, revokeKey } from "../accounts/keys.ts";
import { scopes } from "../accounts/principal.ts";
import type { KeyId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { idField, idParams, instant, line, listOf, pageParams, showId, showInstant, shownId } from "./fields.ts";
import { pagingOf } from "./paging.ts";

const tag = "Keys";

const keyShape = z
  .strictObject({
    id: shownId("key"),
    subaccount_id: shownId("sub").nullable().openapi({ description: "Null: it acts for the master." }),
    name: z.string(),
    hint: z.string().openapi({ description: "The last four characters." }),
    scopes: z.array(z.enum(scopes)),
    created_at: instant,
    last_used_at: instant.nullable(),
  })
  .openapi("Key");

const newKeyShape = keyShape.extend({ key: z.string().openapi({ description: "Shown once." }) }).openapi("NewKey");

const newKey = z.strictObject({
  name: line(200),
  scopes: z.array(z.enum(scopes)).min(1).max(scopes.length),
  subaccount_id: idField("sub").optional(),
});

export function keyEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), list(deps), revoke(deps)];
}

function create({ keyring, clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/keys",
      tag,
      summary: "Create an API key",
      description: "A master's for itself or for one of its subaccounts; a subaccount's always for itself.",
      access: { who: ["master", "subaccount"], scopes: [] },
      body: newKey,
      status: 201,
      answer: newKeyShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { name, scopes: chosen, subaccount_id: subaccount } = body;
      const { apiKey, key } = await createKey(db, principal, { name, scopes: chosen, subaccount }, keyring, clock);
      return { body: { ...showKey(apiKey), key } };
    },
  );
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/keys",
      tag,
      summary: "API keys, without secrets",
      access: { who: everyone, scopes: ["read"] },
      query: z.strictObject({ subaccount_id: idField("sub").optional(), ...pageParams }),
      status: 200,
      answer: listOf(keyShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const filter = { subaccountId: call.query.subaccount_id, after: after?.[0] as KeyId | undefined, limit };
      return { body: page(await listKeys(call.db, call.principal, filter), showKey, ({ id }) => [id]) };
    },
  );
}

function revoke({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: "/v1/keys/{id}",
      tag,
      summary: "Revoke a key, on every node at once",
      access: { who: everyone, scopes: [] },
      params: idParams("key"),
      status: 204,
    },
    async ({ db, principal, params }) => {
      await revokeKey(db, principal, params.id, clock);
      return { changed: [{ kind: "key", id: params.id }] };
    },
  );
}

function showKey(key: ApiKey): z.output<typeof keyShape> {
  return {
    id: showId("key", key.id),
    subaccount_id: showId("sub", key.subaccountId),
    name: key.name,
    hint: key.hint,
    scopes: [...key.scopes],
    created_at: showInstant(key.createdAt),
    last_used_at: showInstant(key.lastUsedAt),
  };
}
