/** SMTP credentials. The password is in the answer that makes it, and nowhere else. */
import { z } from "@hono/zod-openapi";
import { changeCredential } from "../accounts/change-credential.ts";
import {
  type Credential,
  type CredentialDetails,
  createCredential,
  listCredentials,
  type NewCredential,
  revokeCredential,
  rotateCredential,
} from "../accounts/credentials.ts";
import type { CredentialId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import {
  idParams,
  instant,
  line,
  listOf,
  pageParams,
  rateLimits,
  showId,
  showInstant,
  shownId,
  shownRateLimits,
} from "./fields.ts";
import { pagingOf } from "./paging.ts";

const tag = "Credentials";
const changing = { who: everyone, scopes: ["develop"] } as const;

const credentialShape = z
  .strictObject({
    id: shownId("cred"),
    subaccount_id: shownId("sub"),
    username: z.string(),
    name: z.string().nullable(),
    sandbox: z.boolean().openapi({ description: "What is sent with it is never delivered, nor billed." }),
    created_at: instant,
    rotated_at: instant.nullable(),
    previous_until: instant.nullable().openapi({ description: "Until then the password before is valid too." }),
    last_used_at: instant.nullable().openapi({ description: "Within the hour." }),
    rate_limits: shownRateLimits,
    transactional: z.boolean().openapi({ description: "It may use the subaccount's reserve." }),
  })
  .openapi("Credential");

const details = {
  name: line(200).nullable().optional(),
  rate_limits: rateLimits.nullable().optional(),
  transactional: z.boolean().optional().openapi({ description: "It may use the subaccount's reserve." }),
};

const sandbox = z
  .boolean()
  .optional()
  .openapi({ description: "For good: what is sent with it is never delivered, nor billed." });

type Details = z.output<z.ZodObject<typeof details>>;

const detailsFrom = ({ name, rate_limits: rateLimits, transactional }: Details): CredentialDetails => ({
  name,
  rateLimits,
  transactional,
});

const newCredentialShape = credentialShape
  .extend({ password: z.string().openapi({ description: "Shown once." }) })
  .openapi("NewCredential");

export function credentialEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), list(deps), change(deps), rotate(deps), revoke(deps)];
}

function create({ keyring, clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/{id}/credentials",
      tag,
      summary: "Create an SMTP credential",
      access: changing,
      params: idParams("sub"),
      body: z.strictObject({ ...details, sandbox }).openapi("NewCredentialDetails", {
        example: { name: "shop", transactional: true, rate_limits: { hour: 200 } },
      }),
      bodyOptional: true,
      status: 201,
      answer: newCredentialShape,
      idempotent: true,
    },
    async ({ db, principal, params, body }) => ({
      body: showNew(
        await createCredential(
          db,
          principal,
          params.id,
          { ...detailsFrom(body), sandbox: body.sandbox },
          keyring,
          clock,
        ),
      ),
    }),
  );
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/subaccounts/{id}/credentials",
      tag,
      summary: "Credentials of a subaccount, without secrets",
      access: { who: everyone, scopes: ["read"] },
      params: idParams("sub"),
      query: z.strictObject(pageParams),
      status: 200,
      answer: listOf(credentialShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const filter = { after: after?.[0] as CredentialId | undefined, limit };
      const rows = await listCredentials(call.db, call.principal, call.params.id, filter, deps.clock);
      return { body: page(rows, showCredential, ({ id }) => [id]) };
    },
  );
}

function change({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "patch",
      path: "/v1/credentials/{id}",
      tag,
      summary: "Change a credential's name, its limits of a short time, and whether it is transactional",
      description: "A JSON merge patch. Limits rule the next message.",
      access: changing,
      params: idParams("cred"),
      body: z
        .strictObject(details)
        .openapi("CredentialChange", { example: { name: "shop", rate_limits: { hour: 500 } } }),
      status: 200,
      answer: credentialShape,
    },
    async ({ db, principal, params, body }) => ({
      body: showCredential(await changeCredential(db, principal, params.id, detailsFrom(body), clock)),
      changed: [{ kind: "credential", id: params.id }],
    }),
  );
}

function rotate({ keyring, clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/credentials/{id}/rotate",
      tag,
      summary: "A new password for the same user name",
      access: changing,
      params: idParams("cred"),
      body: z
        .strictObject({
          overlap_seconds: z.int().min(0).max(604_800).optional().openapi({
            description: "How long the password before stays valid; 0 by default.",
          }),
        })
        .openapi({ example: { overlap_seconds: 86_400 } }),
      bodyOptional: true,
      status: 200,
      answer: newCredentialShape,
      idempotent: true,
    },
    async ({ db, principal, params, body }) => ({
      body: showNew(await rotateCredential(db, principal, params.id, body.overlap_seconds ?? 0, keyring, clock)),
      changed: [{ kind: "credential", id: params.id }],
    }),
  );
}

function revoke({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: "/v1/credentials/{id}",
      tag,
      summary: "Revoke a credential, on every node at once",
      access: changing,
      params: idParams("cred"),
      status: 204,
    },
    async ({ db, principal, params }) => {
      await revokeCredential(db, principal, params.id, clock);
      return { changed: [{ kind: "credential", id: params.id }] };
    },
  );
}

function showCredential(credential: Credential): z.output<typeof credentialShape> {
  return {
    id: showId("cred", credential.id),
    subaccount_id: showId("sub", credential.subaccountId),
    username: credential.username,
    name: credential.name,
    sandbox: credential.sandbox,
    created_at: showInstant(credential.createdAt),
    rotated_at: showInstant(credential.rotatedAt),
    previous_until: showInstant(credential.previousUntil),
    last_used_at: showInstant(credential.lastUsedAt),
    rate_limits: credential.rateLimits,
    transactional: credential.transactional,
  };
}

function showNew({ credential, password }: NewCredential): z.output<typeof newCredentialShape> {
  return { ...showCredential(credential), password };
}
