/** Saved views of the list of subaccounts. */
import { z } from "@hono/zod-openapi";
import { subaccountSorts } from "../accounts/list-subaccounts.ts";
import {
  changeView,
  createView,
  deleteView,
  findView,
  listViews,
  type SavedView,
  type ViewDetails,
} from "../accounts/saved-views.ts";
import { parseSort } from "../accounts/sort.ts";
import type { ViewId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import { idParams, instant, line, listOf, pageParams, ruled, showId, showInstant, shownId } from "./fields.ts";
import { pagingOf } from "./paging.ts";
import { searchBody, textsOf } from "./subaccount-search.ts";
import { tableColumns } from "./subaccounts-table.ts";

const tag = "Views";
const changing = { who: owners, scopes: [] } as const;
const reading = { who: owners, scopes: ["read"] } as const;

const sort = ruled(z.string().max(200), (value) =>
  parseSort(value as string, subaccountSorts) === undefined
    ? `This is up to three of: ${subaccountSorts.join(", ")}; a minus turns one round.`
    : undefined,
).openapi({ example: "-used_percent,name" });
const columns = z.array(z.enum(tableColumns)).min(1).max(tableColumns.length);

const members = {
  filter: searchBody.optional(),
  sort: sort.nullable().optional(),
  columns: columns
    .nullable()
    .optional()
    .openapi({ description: "Of the table, in that order.", example: ["name", "used"] }),
  shared: z.boolean().optional().openapi({ description: "All of the master's people see it." }),
};
const newView = z.strictObject({ name: line(100), ...members }).openapi("NewView", {
  example: {
    name: "Nearly full",
    filter: { used_percent_gte: 80, state: "active" },
    sort: "-used_percent",
    shared: true,
  },
});
const viewChange = z
  .strictObject({ name: line(100).optional(), ...members })
  .openapi("ViewChange", { example: { name: "Nearly full", filter: { used_percent_gte: 90 } } });

const viewShape = z
  .strictObject({
    id: shownId("view"),
    name: z.string(),
    filter: z.record(z.string(), z.string()),
    sort: z.string().nullable(),
    columns: z.array(z.string()).nullable(),
    shared: z.boolean(),
    owner: z.string().openapi({ description: "The person or key that saved it, or `operator`." }),
    mine: z.boolean().openapi({ description: "Whether the caller may change it." }),
    created_at: instant,
    updated_at: instant,
  })
  .openapi("View");

const one = { tag, params: idParams("view"), status: 200, answer: viewShape } as const;

export function viewEndpoints(deps: Deps): Endpoint[] {
  const { clock } = deps;
  return [
    endpoint(
      {
        method: "post",
        path: "/v1/views",
        tag,
        summary: "Save a view: a search, an order and columns under a name",
        description: "Use it with GET /v1/subaccounts?view=view_...; what is given there as well wins.",
        access: changing,
        body: newView,
        status: 201,
        answer: viewShape,
        idempotent: true,
      },
      async ({ db, principal, body }) => {
        const view = await createView(db, principal, { ...detailsOf(body), name: body.name }, clock);
        return { body: showView(view), version: view.version };
      },
    ),
    list(deps),
    endpoint(
      { ...one, method: "get", path: "/v1/views/{id}", summary: "One view", access: reading },
      async ({ db, principal, params }) => {
        const view = await findView(db, principal, params.id);
        return { body: showView(view), version: view.version };
      },
    ),
    endpoint(
      {
        ...one,
        method: "patch",
        path: "/v1/views/{id}",
        summary: "Change an own view",
        access: changing,
        body: viewChange,
      },
      async ({ db, principal, params, body, ifMatch }) => {
        const version = await versionFor(ifMatch, () => findView(db, principal, params.id));
        const view = await changeView(db, principal, params.id, detailsOf(body), { version }, clock);
        return { body: showView(view), version: view.version };
      },
    ),
    endpoint(
      {
        tag,
        method: "delete",
        path: "/v1/views/{id}",
        summary: "Delete an own view",
        access: changing,
        params: idParams("view"),
        status: 204,
      },
      async ({ db, principal, params }) => {
        await deleteView(db, principal, params.id, clock);
        return {};
      },
    ),
  ];
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/views",
      tag,
      summary: "The caller's views, and those that are shared with it",
      access: reading,
      query: z.strictObject(pageParams),
      status: 200,
      answer: listOf(viewShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const filter = { after: after?.[0] as ViewId | undefined, limit };
      return { body: page(await listViews(call.db, call.principal, filter), showView, ({ id }) => [id]) };
    },
  );
}

function detailsOf({ filter, ...body }: z.output<typeof viewChange>): ViewDetails {
  return { ...body, ...(filter === undefined ? {} : { filter: textsOf(filter) }) };
}

function showView(view: SavedView): z.output<typeof viewShape> {
  const { name, filter, sort: order, columns: chosen, shared, owner, mine } = view;
  return {
    id: showId("view", view.id),
    name,
    filter: { ...filter },
    sort: order,
    columns: chosen === null ? null : [...chosen],
    shared,
    owner,
    mine,
    created_at: showInstant(view.createdAt),
    updated_at: showInstant(view.updatedAt),
  };
}
