/** Masters: the operator's view. */
import { z } from "@hono/zod-openapi";
import { changeMaster } from "../accounts/change-master.ts";
import { createMaster } from "../accounts/create-master.ts";
import { findMaster } from "../accounts/find.ts";
import { listMasters, masterSorts } from "../accounts/list-masters.ts";
import { masterFields } from "../accounts/master-fields.ts";
import { masterStates } from "../accounts/states.ts";
import { transitionMaster } from "../accounts/transition.ts";
import type { Deps } from "./deps.ts";
import { detailsOf } from "./details.ts";
import { type Endpoint, endpoint, operatorOnly } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import { idParams, listOf, noMembers, showId, shownId } from "./fields.ts";
import { searchParams, someOf, sortParam } from "./list-params.ts";
import { masterChange, masterShape, newMaster, showMaster } from "./master-shape.ts";
import { pagingOf } from "./paging.ts";

const tag = "Masters";
const access = { who: operatorOnly, scopes: [] } as const;
const reading = { who: operatorOnly, scopes: ["read"] } as const;

const createdShape = masterShape
  .extend({
    api_key: z
      .strictObject({ id: shownId("key"), key: z.string() })
      .openapi({ description: "Its first key, shown once." }),
  })
  .openapi("CreatedMaster");

export function masterEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), list(deps), show(deps), change(deps), ...transitions(deps)];
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

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/masters",
      tag,
      summary: "Masters",
      access: reading,
      query: z.strictObject({
        state: someOf(masterStates).optional(),
        sort: sortParam(masterSorts).optional(),
        ...searchParams,
      }),
      status: 200,
      answer: listOf(masterShape),
    },
    async (call) => {
      const { limit, after, cut } = pagingOf(deps, call);
      const { q, state: states, sort } = call.query;
      const found = await listMasters(call.db, call.principal, { q, states, sort, after, limit }, deps.clock);
      return { body: cut(found, found.items.map(showMaster)) };
    },
  );
}

const one = { tag, access, params: idParams("mas"), status: 200, answer: masterShape } as const;

function show({ clock }: Deps): Endpoint {
  return endpoint(
    { ...one, method: "get", path: "/v1/masters/{id}", summary: "One master" },
    async ({ db, principal, params }) => {
      const master = await findMaster(db, principal, params.id, clock);
      return { body: showMaster(master), version: master.version };
    },
  );
}

function change({ clock }: Deps): Endpoint {
  return endpoint(
    {
      ...one,
      method: "patch",
      path: "/v1/masters/{id}",
      summary: "Change a master",
      description: "A JSON merge patch. Anchor day and time zone change when the running period ends.",
      body: masterChange,
    },
    async ({ db, principal, params, body, ifMatch }) => {
      const version = await versionFor(ifMatch, () => findMaster(db, principal, params.id, clock));
      const master = await changeMaster(db, principal, params.id, detailsOf(masterFields, body), { version }, clock);
      return { body: showMaster(master), version: master.version, changed: [{ kind: "master", id: master.id }] };
    },
  );
}

function transitions({ clock }: Deps): Endpoint[] {
  const actions = {
    suspend: "Nothing is accepted any more, its queues are held, its API only reads",
    resume: "End a suspension",
    close: "Nothing is accepted any more, keys and credentials open nothing",
    reopen: "Reopen a closed master",
  } as const;
  return Object.entries(actions).map(([name, summary]) =>
    endpoint(
      {
        ...one,
        method: "post",
        path: `/v1/masters/{id}/${name}`,
        summary,
        body: noMembers,
        bodyOptional: true,
      },
      async ({ db, principal, params, ifMatch }) => {
        const action = name as keyof typeof actions;
        const version = await versionFor(ifMatch, () => findMaster(db, principal, params.id, clock));
        const master = await transitionMaster(db, principal, params.id, action, { version }, clock);
        return { body: showMaster(master), version: master.version, changed: [{ kind: "master", id: master.id }] };
      },
    ),
  );
}
