/** Erasing and purging closed subaccounts. */
import { z } from "@hono/zod-openapi";
import { COUNTED_TO, contentKinds } from "../lifecycle/contents.ts";
import { type Erasure, findErasure } from "../lifecycle/erasure.ts";
import { eraseSubaccount, purgeSubaccount } from "../lifecycle/start-erasure.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, operatorOnly, owners } from "./endpoint.ts";
import { idParams, instant, noMembers, showId, showInstant, shownId } from "./fields.ts";

const tag = "Subaccounts";

const erasureShape = z
  .strictObject({
    id: shownId("era"),
    subaccount_id: shownId("sub"),
    purge: z.boolean(),
    state: z.enum(["running", "done"]),
    total: z.int().nullable().openapi({
      description: "Rows to be erased, as far as they were counted; it grows with what is done. Null: not counted yet.",
      example: 12_000,
    }),
    done: z.int().openapi({ example: 3500 }),
    created_at: instant,
    finished_at: instant.nullable(),
  })
  .openapi("Erasure");

const purgeShape = z
  .strictObject({
    contents: z
      .strictObject(Object.fromEntries(contentKinds.map((kind) => [kind, z.int()])))
      .nullable()
      .openapi({
        description: `With dry_run: what would go, in rows, of each kind counted to ${COUNTED_TO}. Else null: the erasure counts.`,
      }),
    erasure: erasureShape.nullable().openapi({ description: "Null: with dry_run nothing goes." }),
  })
  .openapi("Purge");

const purging = z
  .strictObject({
    dry_run: z.boolean().optional().openapi({ description: "Only say what would go.", example: true }),
  })
  .openapi({ example: { dry_run: true } });

export function erasureEndpoints(deps: Deps): Endpoint[] {
  return [erase(deps), purge(deps), show()];
}

function erase({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/{id}/erase",
      tag,
      summary: "Erase contents, addresses and people of a closed one, for good",
      description:
        "In the background, as /v1/erasures/{id} shows. What was charged stays: counts, usage and statements. It can't be reopened. Asking again while it runs answers with the same erasure.",
      access: { who: owners, scopes: [] },
      params: idParams("sub"),
      body: noMembers,
      bodyOptional: true,
      status: 202,
      answer: erasureShape,
    },
    async ({ db, principal, params }) => {
      const erasure = await eraseSubaccount(db, principal, params.id, clock);
      return { body: showErasure(erasure), changed: [{ kind: "subaccount", id: erasure.subaccountId }] };
    },
  );
}

function purge({ clock, config: { retentionClosedMs: retentionMs } }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/{id}/purge",
      tag,
      summary: "Erase one that was closed longer ago than closed ones are kept",
      access: { who: operatorOnly, scopes: [] },
      params: idParams("sub"),
      body: purging,
      bodyOptional: true,
      status: 202,
      previewStatus: 200,
      answer: purgeShape,
    },
    async ({ db, principal, params, body }) => {
      const told = { dryRun: body?.dry_run ?? false, retentionMs };
      const { contents, erasure } = await purgeSubaccount(db, principal, params.id, told, clock);
      if (erasure === null) return { status: 200, body: { contents: { ...contents }, erasure } };
      const changed = [{ kind: "subaccount", id: erasure.subaccountId }] as const;
      return { body: { contents, erasure: showErasure(erasure) }, changed };
    },
  );
}

function show(): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/erasures/{id}",
      tag,
      summary: "How far an erasure is",
      access: { who: owners, scopes: ["read"] },
      params: idParams("era"),
      status: 200,
      answer: erasureShape,
    },
    async ({ db, principal, params }) => ({ body: showErasure(await findErasure(db, principal, params.id)) }),
  );
}

function showErasure(erasure: Erasure): z.output<typeof erasureShape> {
  const { purge, state, total, done } = erasure;
  return {
    id: showId("era", erasure.id),
    subaccount_id: showId("sub", erasure.subaccountId),
    ...{ purge, state, total, done },
    created_at: showInstant(erasure.createdAt),
    finished_at: showInstant(erasure.finishedAt),
  };
}
