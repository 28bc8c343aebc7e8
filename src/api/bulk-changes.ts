/** Many subaccounts changed at once: previewed with before and after, then done in the background. */
import { z } from "@hono/zod-openapi";
import { MAX_UNITS } from "../accounts/fields.ts";
import { stateActions } from "../accounts/states.ts";
import { subaccountFields } from "../accounts/subaccount-fields.ts";
import type { BulkChange } from "../bulk/change.ts";
import { listItems } from "../bulk/items.ts";
import { planChange } from "../bulk/plan-change.ts";
import { findRun, type Run } from "../bulk/runs.ts";
import { startRun, stopRun } from "../bulk/start.ts";
import type { BulkChangeId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { detailsOf } from "./details.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import * as field from "./fields.ts";
import { flagParam } from "./list-params.ts";
import { pagingOf } from "./paging.ts";
import { changeItemShape, runMembers, showChangeItem, showRun } from "./run-shape.ts";
import { searchBody, searchOf, searchQuery, textsOf } from "./subaccount-search.ts";
import { manyDetails } from "./subaccount-shape.ts";
import { read } from "./validate.ts";

const tag = "Bulk changes";
const changing = { who: owners, scopes: [] } as const;
const reading = { who: owners, scopes: ["read"] } as const;
const SHOWN = 100;
const MAX_IDS = 5000;

const limit = z
  .union([
    field.units,
    z.strictObject({ add: z.int().min(-MAX_UNITS).max(MAX_UNITS) }),
    z.strictObject({ percent: z.number().min(0).max(100_000) }),
  ])
  .nullable()
  .openapi({ description: "A limit, or `{add}` units to it, or `{percent}` of it: 120 is a fifth more." });

const toDo = Object.fromEntries(stateActions.map((action) => [action, z.literal(true).optional()])) as Record<
  (typeof stateActions)[number],
  z.ZodOptional<z.ZodLiteral<true>>
>;

const change = z
  .strictObject({ monthly_limit: limit.optional(), ...manyDetails, ...toDo })
  .refine((given) => stateActions.filter((action) => given[action]).length <= 1, `One of ${stateActions.join(", ")}.`);

const newChange = z
  .strictObject({
    filter: searchBody.optional(),
    ids: z.array(field.idField("sub")).min(1).max(MAX_IDS).optional(),
    change,
    dry_run: z
      .boolean()
      .optional()
      .openapi({ description: "Shows before and after; /v1/bulk_changes/{id}/start does it." }),
  })
  .refine(({ filter, ids }) => (filter === undefined) !== (ids === undefined), {
    path: ["filter"],
    message: "Give filter or ids, one of both; an empty filter means all.",
  })
  .openapi("NewBulkChange", {
    example: { filter: { plan: "gold" }, change: { monthly_limit: { percent: 120 } }, dry_run: true },
  });

const changeShape = z
  .strictObject({
    id: field.shownId("blk"),
    ...runMembers,
    totals: z
      .strictObject({
        limits_before: z.int().nullable(),
        limits_after: z.int().nullable(),
        allowance: z.int().nullable(),
      })
      .openapi({ description: "Sums of the limits of these subaccounts; null where one has none." }),
    rows: z
      .array(changeItemShape)
      .optional()
      .openapi({ description: `With dry_run: the first ${SHOWN}; all by /rows.` }),
  })
  .openapi("BulkChange");

export function bulkChangeEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), ...one(deps), rows(deps)];
}

function create({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts/bulk",
      tag,
      summary: "Change many subaccounts at once",
      description:
        "Each is changed for itself, audited, and passed over when it was changed since the plan was made (`skipped`).",
      access: { who: ["master"], scopes: [] },
      body: newChange,
      status: 202,
      previewStatus: 200,
      answer: changeShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { filter, ids, dry_run: preview = false } = body;
      const search = filter === undefined ? undefined : searchOf(read(searchQuery, textsOf(filter)));
      const run = await planChange(db, principal, { search, ids, change: changeOf(body.change), preview }, clock);
      if (!preview) return { body: showChange(run) };
      const first = (await listItems(db, run, { limit: SHOWN })).slice(0, SHOWN);
      return { status: 200, body: { ...showChange(run), rows: first.map(showChangeItem) } };
    },
  );
}

function changeOf({ monthly_limit, ...given }: z.output<typeof change>): BulkChange {
  return {
    limit: monthly_limit,
    details: detailsOf(subaccountFields, given),
    action: stateActions.find((action) => given[action]),
  };
}

const oneChange = { tag, params: field.idParams("blk"), status: 200, answer: changeShape } as const;
const doing = { ...oneChange, method: "post", access: changing, body: field.noMembers, bodyOptional: true } as const;

function one({ clock }: Deps): Endpoint[] {
  return [
    endpoint(
      {
        ...oneChange,
        method: "get",
        path: "/v1/bulk_changes/{id}",
        summary: "How far a bulk change is",
        access: reading,
      },
      async ({ db, principal, params }) => ({ body: showChange(await findRun(db, principal, "change", params.id)) }),
    ),
    endpoint(
      { ...doing, path: "/v1/bulk_changes/{id}/start", summary: "Do what was previewed" },
      async ({ db, principal, params }) => ({
        body: showChange(await startRun(db, principal, "change", params.id, clock)),
      }),
    ),
    endpoint(
      { ...doing, path: "/v1/bulk_changes/{id}/stop", summary: "Leave the rest undone" },
      async ({ db, principal, params }) => ({
        body: showChange(await stopRun(db, principal, "change", params.id, clock)),
      }),
    ),
  ];
}

function rows(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/bulk_changes/{id}/rows",
      tag,
      summary: "Each subaccount: before, after, and what came of it",
      access: reading,
      params: field.idParams("blk"),
      query: z.strictObject({
        wrong: flagParam.optional().openapi({ description: "Only those with errors." }),
        ...field.pageParams,
      }),
      status: 200,
      answer: field.listOf(changeItemShape),
    },
    async (call) => {
      const { limit: most, after, page } = pagingOf(deps, call);
      const run = await findRun(call.db, call.principal, "change", call.params.id);
      const filter = { wrong: call.query.wrong, after: after?.[0] as number | undefined, limit: most };
      return { body: page(await listItems(call.db, run, filter), showChangeItem, ({ n }) => [n]) };
    },
  );
}

function showChange(run: Run): z.output<typeof changeShape> {
  const { limits_before = null, limits_after = null, allowance = null } = run.planned;
  const totals = { limits_before, limits_after, allowance };
  return { id: field.showId("blk", run.id as BulkChangeId), ...showRun(run), totals };
}
