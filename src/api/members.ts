/** Members: the people of the caller's own account. A master reaches a subaccount's by Postmeter-Account. */
import { z } from "@hono/zod-openapi";
import { inviteMember, resendInvitation } from "../people/invite.ts";
import { changeRole, findMember, listMembers, type Member, removeMember } from "../people/members.ts";
import { roles } from "../people/roles.ts";
import type { MemberId } from "../platform/ids.ts";
import { type Deps, lettersOf } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import {
  email,
  idParams,
  instant,
  line,
  listOf,
  noMembers,
  pageParams,
  showId,
  showInstant,
  shownId,
} from "./fields.ts";
import { pagingOf } from "./paging.ts";

const tag = "Members";

const role = z.enum(roles).openapi({
  description:
    "owner, admin: everything (an admin does not touch owners); developer: credentials, keys, domains, sending; billing: bills and usage, of a master only; viewer: reads.",
});

const memberShape = z
  .strictObject({
    id: shownId("mem"),
    email: z.string(),
    name: z.string().nullable(),
    role,
    state: z.enum(["invited", "active"]),
    second_factor: z.boolean(),
    invited_at: instant,
    accepted_at: instant.nullable(),
    last_seen_at: instant.nullable(),
  })
  .openapi("Member", {
    example: {
      id: "mem_01kb2m5xj7e1fr0x4m4f6a0z3q",
      email: "ann@acme.example",
      name: "Ann",
      role: "admin",
      state: "active",
      second_factor: true,
      invited_at: "2026-11-02T09:00:00Z",
      accepted_at: "2026-11-02T09:12:00Z",
      last_seen_at: "2026-11-24T07:30:00Z",
    },
  });

const newMember = z
  .strictObject({ email, role, name: line(200).optional() })
  .openapi({ example: { email: "ann@acme.example", role: "admin" } });

export function memberEndpoints(deps: Deps): Endpoint[] {
  return [list(deps), invite(deps), show(deps), change(deps), remove(deps), resend(deps)];
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/members",
      tag,
      summary: "The people of the account, and those who are invited",
      access: { who: everyone, scopes: ["read"] },
      query: z.strictObject(pageParams),
      status: 200,
      answer: listOf(memberShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const members = await listMembers(call.db, call.principal, { after: after?.[0] as MemberId | undefined, limit });
      return { body: page(members, showMember, ({ memberId }) => [memberId]) };
    },
  );
}

function invite(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/members",
      tag,
      summary: "Invite somebody by mail: a link of 24 hours",
      access: { who: everyone, scopes: [] },
      body: newMember,
      status: 201,
      answer: memberShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => ({ body: showMember(await inviteMember(db, principal, body, lettersOf(deps))) }),
  );
}

function show(_: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/members/{id}",
      tag,
      summary: "One of them",
      access: { who: everyone, scopes: ["read"] },
      params: idParams("mem"),
      status: 200,
      answer: memberShape,
    },
    async ({ db, principal, params }) => ({ body: showMember(await findMember(db, principal, params.id)) }),
  );
}

function change({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "patch",
      path: "/v1/members/{id}",
      tag,
      summary: "Give another role",
      access: { who: everyone, scopes: [] },
      params: idParams("mem"),
      body: z.strictObject({ role }).openapi({ example: { role: "billing" } }),
      status: 200,
      answer: memberShape,
    },
    async ({ db, principal, params, body }) => ({
      body: showMember(await changeRole(db, principal, params.id, body.role, clock)),
    }),
  );
}

function remove({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: "/v1/members/{id}",
      tag,
      summary: "Remove somebody: his sessions end at once",
      access: { who: everyone, scopes: [] },
      params: idParams("mem"),
      status: 204,
    },
    async ({ db, principal, params }) => {
      await removeMember(db, principal, params.id, clock);
      return {};
    },
  );
}

function resend(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/members/{id}/resend_invitation",
      tag,
      summary: "Send the invitation again; the link before it is void",
      access: { who: everyone, scopes: [] },
      params: idParams("mem"),
      body: noMembers,
      bodyOptional: true,
      status: 200,
      answer: memberShape,
    },
    async ({ db, principal, params }) => ({
      body: showMember(await resendInvitation(db, principal, params.id, lettersOf(deps))),
    }),
  );
}

/** Of somebody who has not accepted nothing is shown but what the inviter gave: he may have a log-in elsewhere. */
function showMember(member: Member): z.output<typeof memberShape> {
  const accepted = member.acceptedAt !== null;
  return {
    id: showId("mem", member.memberId),
    email: member.email,
    name: accepted ? member.name : null,
    role: member.role,
    state: accepted ? "active" : "invited",
    second_factor: accepted && member.secondFactor,
    invited_at: showInstant(member.invitedAt),
    accepted_at: showInstant(member.acceptedAt),
    last_seen_at: showInstant(member.lastSeenAt),
  };
}
