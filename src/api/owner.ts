/** What a master does for the people of a subaccount, and how it looks at the account as they do. */
import { z } from "@hono/zod-openapi";
import type { Master, Subaccount } from "../accounts/account.ts";
import { findMaster, findSubaccount } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import { listLocks, unlock } from "../accounts/unlock.ts";
import { createLogInAs } from "../people/log-in-as.ts";
import { inviteOwner, resetOwner, setTemporaryPassword } from "../people/owner.ts";
import type { Db } from "../platform/database.ts";
import { type Deps, lettersOf } from "./deps.ts";
import { type Answer, type Endpoint, endpoint, operatorOnly, owners } from "./endpoint.ts";
import { idParams, instant, line, noMembers, showInstant } from "./fields.ts";

const tag = "People of a subaccount";

const ownerShape = z
  .strictObject({ email: z.string(), name: z.string().nullable() })
  .openapi("Owner", { example: { email: "owner@shop.example", name: "Pat" } });

export function ownerEndpoints(deps: Deps): Endpoint[] {
  return [
    sendInvitation(deps, "invite", "Invite the owner by mail: a link of 24 hours"),
    sendInvitation(deps, "resend_invitation", "Send the invitation again; the link before it is void"),
    reset(deps),
    temporaryPassword(deps),
    locks(deps),
    endLocks(deps),
    logInAs(deps),
    logInAsMaster(deps),
  ];
}

function sendInvitation(deps: Deps, action: "invite" | "resend_invitation", summary: string): Endpoint {
  return endpoint(
    {
      method: "post",
      path: `/v1/subaccounts/{id}/${action}`,
      tag,
      summary,
      description:
        "`invite`: owner_email becomes an owner. `resend_invitation`: to the owner who has not accepted yet.",
      access: { who: owners, scopes: [] },
      params: idParams("sub"),
      body: noMembers,
      bodyOptional: true,
      status: 200,
      answer: ownerShape,
    },
    async ({ db, principal, params }) => {
      const subaccount = await findSubaccount(db, principal, params.id, deps.clock);
      const { email, name } = await inviteOwner(db, principal, subaccount, action !== "invite", lettersOf(deps));
      return { body: { email, name } };
    },
  );
}

function reset(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/{id}/reset_password",
      tag,
      summary: "Send the owner a link to a new password, to his own address",
      access: { who: owners, scopes: [] },
      params: idParams("sub"),
      body: noMembers,
      bodyOptional: true,
      status: 200,
      answer: ownerShape,
    },
    async ({ db, principal, params }) => {
      const subaccount = await findSubaccount(db, principal, params.id, deps.clock);
      const { email, name } = await resetOwner(db, principal, subaccount, lettersOf(deps));
      return { body: { email, name } };
    },
  );
}

const temporaryShape = ownerShape
  .extend({ password: z.string().openapi({ description: "Shown once; to be changed at the next log-in." }) })
  .openapi("TemporaryPassword");

function temporaryPassword(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/{id}/temporary_password",
      tag,
      summary: "A password for the owner that he changes at his next log-in",
      description: "He is told by mail that one was set. 409 for a person who can log in elsewhere too.",
      access: { who: owners, scopes: [] },
      params: idParams("sub"),
      body: noMembers,
      bodyOptional: true,
      status: 201,
      answer: temporaryShape,
    },
    async ({ db, principal, params }) => {
      const subaccount = await findSubaccount(db, principal, params.id, deps.clock);
      const letters = { ...lettersOf(deps), passwords: deps.passwords };
      const { owner, password } = await setTemporaryPassword(db, principal, subaccount, letters);
      return { body: { email: owner.email, name: owner.name, password } };
    },
  );
}

const lockShape = z
  .strictObject({ name: z.string(), network: z.string(), until: instant })
  .openapi("Lock", { example: { name: "shop-4f2a", network: "192.0.2.7", until: "2026-11-24T10:05:00Z" } });

function locks({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/subaccounts/{id}/locks",
      tag,
      summary: "Log-ins that are locked after five failures, by user name and client network",
      access: { who: owners, scopes: ["read"] },
      params: idParams("sub"),
      status: 200,
      answer: z.strictObject({ data: z.array(lockShape) }),
    },
    async ({ db, principal, params }) => {
      const found = await listLocks(db, await findSubaccount(db, principal, params.id, clock));
      return { body: { data: found.map((lock) => ({ ...lock, until: showInstant(lock.until) })) } };
    },
  );
}

function endLocks({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/{id}/unlock",
      tag,
      summary: "End all locks of its log-ins, on every node",
      access: { who: owners, scopes: [] },
      params: idParams("sub"),
      body: noMembers,
      bodyOptional: true,
      status: 200,
      answer: z.strictObject({ unlocked: z.int() }),
    },
    async ({ db, principal, params }) => {
      const subaccount = await findSubaccount(db, principal, params.id, clock);
      return { body: { unlocked: await unlock(db, principal, subaccount, clock) } };
    },
  );
}

const actingInput = z
  .strictObject({
    reason: line(500).openapi({ description: "Stands in the audit log of both sides." }),
    read_only: z.boolean().optional(),
  })
  .openapi({ example: { reason: "Ticket 4711: where did the newsletter go?", read_only: true } });

const logInAsShape = z
  .strictObject({
    url: z.string().openapi({ description: "Works once, for 60 seconds; the session lasts 15 minutes." }),
    expires_at: instant,
  })
  .openapi("LogInAs");

async function actAs(
  { keyring, clock, publicUrl }: Deps,
  db: Db,
  principal: Principal,
  account: Master | Subaccount,
  { reason, read_only: readOnly }: z.output<typeof actingInput>,
): Promise<Answer<typeof logInAsShape>> {
  const { path, expiresAt } = await createLogInAs(db, principal, account, { reason, readOnly }, keyring, clock);
  return { body: { url: `${publicUrl()}${path}`, expires_at: showInstant(expiresAt) } };
}

function logInAs(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/{id}/log_in_as",
      tag,
      summary: "A link that opens the account as its people see it",
      access: { who: owners, scopes: [] },
      params: idParams("sub"),
      body: actingInput,
      status: 201,
      answer: logInAsShape,
    },
    async ({ db, principal, params, body }) => {
      return actAs(deps, db, principal, await findSubaccount(db, principal, params.id, deps.clock), body);
    },
  );
}

function logInAsMaster(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/masters/{id}/log_in_as",
      tag: "Masters",
      summary: "A link that opens the master's account as its people see it",
      access: { who: operatorOnly, scopes: [] },
      params: idParams("mas"),
      body: actingInput,
      status: 201,
      answer: logInAsShape,
    },
    async ({ db, principal, params, body }) => {
      return actAs(deps, db, principal, await findMaster(db, principal, params.id, deps.clock), body);
    },
  );
}
