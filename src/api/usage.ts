/** What was used: of one subaccount, day by day, of the master, of all its subaccounts. */
import { z } from "@hono/zod-openapi";
import { readDailyUsage } from "../metering/daily.ts";
import { listSubaccountUsage, readMasterUsage, readUsage } from "../metering/usage.ts";
import type { SubaccountId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { dateField, idParams, listOf, pageParams, showId, shownId } from "./fields.ts";
import { pagingOf } from "./paging.ts";
import { masterUsageShape, periodShape, showMasterUsage, showPeriod, showUsage, usageShape } from "./usage-shape.ts";

const tag = "Usage";
const periodQuery = z.strictObject({
  period: dateField
    .optional()
    .openapi({ description: "The period's start in the master's time zone; the running one by default." }),
});

const dailyShape = z
  .strictObject({
    period: periodShape,
    days: z.array(
      z.strictObject({
        date: z.string().openapi({ description: "A day of the master's time zone.", example: "2026-11-22" }),
        units: z.int(),
        messages: z.int(),
        corrections: z.int(),
        refused: z.int(),
      }),
    ),
  })
  .openapi("DailyUsage");

const itemShape = usageShape.extend({ id: shownId("sub"), name: z.string() }).openapi("SubaccountUsage");

/** A key of any scope may know how much it may still send. */
const access = { who: everyone, scopes: ["read", "billing", "send"] } as const;

export function usageEndpoints(deps: Deps): Endpoint[] {
  const { clock } = deps;
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/subaccounts/{id}/usage",
        tag,
        summary: "Usage of a subaccount in a period",
        access,
        params: idParams("sub"),
        query: periodQuery,
        status: 200,
        answer: usageShape,
      },
      async ({ db, principal, params, query }) => ({
        body: showUsage(await readUsage(db, principal, params.id, query.period, clock)),
      }),
    ),
    endpoint(
      {
        method: "get",
        path: "/v1/subaccounts/{id}/usage/daily",
        tag,
        summary: "Usage of a subaccount, day by day",
        access,
        params: idParams("sub"),
        query: periodQuery,
        status: 200,
        answer: dailyShape,
      },
      async ({ db, principal, params, query }) => {
        const { period, days } = await readDailyUsage(db, principal, params.id, query.period, clock);
        return { body: { period: showPeriod(period), days } };
      },
    ),
    ownUsage(deps),
    subaccountUsages(deps),
  ];
}

function ownUsage({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/usage",
      tag,
      summary: "The caller's own usage",
      description: "A master's sum over its subaccounts; with a subaccount's key that subaccount's.",
      access: { who: ["master", "subaccount"], scopes: ["read", "billing", "send"] },
      query: periodQuery,
      status: 200,
      answer: z.union([masterUsageShape, usageShape]),
    },
    async ({ db, principal, query }) => ({
      body:
        principal.kind === "subaccount"
          ? showUsage(await readUsage(db, principal, principal.subaccountId, query.period, clock))
          : showMasterUsage(await readMasterUsage(db, principal, undefined, query.period, clock)),
    }),
  );
}

function subaccountUsages(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/usage/subaccounts",
      tag,
      summary: "Usage of the master's subaccounts",
      access: { who: ["master"], scopes: ["read", "billing"] },
      query: periodQuery.extend(pageParams),
      status: 200,
      answer: listOf(itemShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const filter = { period: call.query.period, after: after?.[0] as SubaccountId | undefined, limit };
      const rows = await listSubaccountUsage(call.db, call.principal, filter, deps.clock);
      const show = ({ id, name, ...usage }: (typeof rows)[number]) => ({
        id: showId("sub", id),
        name,
        ...showUsage(usage),
      });
      return { body: page(rows, show, ({ id }) => [id]) };
    },
  );
}
