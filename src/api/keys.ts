/** API keys. The key is in the answer that makes it, and nowhere else. */
import { z } from "@hono/zod-openapi";
import { network } from "../accounts/fields.ts";
import { type ApiKey, createKey, listKeys, revokeKey, rotateKey } from "../accounts/keys.ts";
import { scopes } from "../accounts/principal.ts";
import type { KeyId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import {
  idField,
  idParams,
  instant,
  instantField,
  line,
  listOf,
  pageParams,
  ruled,
  showId,
  showInstant,
  shownId,
} from "./fields.ts";
import { pagingOf } from "./paging.ts";

const tag = "Keys";

const keyShape = z
  .strictObject({
    id: shownId("key"),
    subaccount_id: shownId("sub").nullable().openapi({ description: "Null: it acts for the master." }),
    name: z.string(),
    hint: z.string().openapi({ description: "The last four characters." }),
    scopes: z.array(z.enum(scopes)),
    networks: z.array(z.string()).openapi({ description: "From where it may be used; empty: from anywhere." }),
    expires_at: instant.nullable(),
    replaced_by: shownId("key").nullable().openapi({ description: "The key that a roll-over has put in its place." }),
    created_at: instant,
    last_used_at: instant.nullable(),
  })
  .openapi("Key");

const newKeyShape = keyShape.extend({ key: z.string().openapi({ description: "Shown once." }) }).openapi("NewKey");

const newKey = z
  .strictObject({
    name: line(200),
    scopes: z.array(z.enum(scopes)).min(1).max(scopes.length),
    subaccount_id: idField("sub").optional(),
    networks: z
      .array(ruled(z.string(), network))
      .min(1)
      .max(50)
      .optional()
      .openapi({ example: ["192.0.2.0/24"] }),
    expires_at: instantField.nullable().optional(),
  })
  .openapi({ example: { name: "billing system", scopes: ["read"], networks: ["192.0.2.0/24"] } });

export function keyEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), list(deps), rotate(deps), revoke(deps)];
}

function create({ keyring, clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/keys",
      tag,
      summary: "Create an API key",
      description: "A master's for itself or for one of its subaccounts; a subaccount's always for itself.",
      access: { who: ["master", "subaccount"], scopes: ["develop"] },
      body: newKey,
      status: 201,
      answer: newKeyShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { subaccount_id: subaccount, expires_at: expiresAt, ...rest } = body;
      const { apiKey, key } = await createKey(db, principal, { ...rest, subaccount, expiresAt }, keyring, clock);
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

function rotate({ keyring, clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/keys/{id}/rotate",
      tag,
      summary: "Roll a key over: a new one with the same rights, the old one for a while longer",
      access: { who: everyone, scopes: ["develop"] },
      params: idParams("key"),
      body: z
        .strictObject({
          overlap_seconds: z.int().min(0).max(604_800).optional().openapi({ description: "0 by default." }),
        })
        .openapi({ example: { overlap_seconds: 86_400 } }),
      bodyOptional: true,
      status: 200,
      answer: newKeyShape,
      idempotent: true,
    },
    async ({ db, principal, params, body }) => {
      const overlap = body.overlap_seconds ?? 0;
      const { apiKey, key } = await rotateKey(db, principal, params.id, overlap, keyring, clock);
      return { body: { ...showKey(apiKey), key }, changed: [{ kind: "key", id: params.id }] };
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
      access: { who: everyone, scopes: ["develop"] },
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
    networks: [...key.networks],
    expires_at: showInstant(key.expiresAt),
    replaced_by: showId("key", key.replacedBy),
    created_at: showInstant(key.createdAt),
    last_used_at: showInstant(key.lastUsedAt),
  };
}
