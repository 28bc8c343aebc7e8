/** What a subaccount was billed for, to its master and, where that allows it, to itself. */
import { z } from "@hono/zod-openapi";
import { findSubaccount } from "../accounts/find.ts";
import { type BilledPeriod, listBillingHistory } from "../metering/billing-history.ts";
import { shownAmounts } from "../metering/shown-amounts.ts";
import { billedUnits } from "../metering/statement.ts";
import { billedPrice } from "./amount-shape.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { idParams, instant, listOf, pageParams, showId, showInstant, shownId } from "./fields.ts";
import { pagingOf } from "./paging.ts";
import { periodShape, showPeriod } from "./usage-shape.ts";

const shape = z
  .strictObject({
    subaccount_id: shownId("sub").openapi({ description: "Another one where the account was with another master." }),
    period: periodShape,
    monthly_limit: z.int().nullable(),
    top_up: z.int(),
    messages: z.int(),
    units: z.int(),
    corrections: z.int(),
    billed: z.int().openapi({ description: "units + corrections; below 0 units were taken back." }),
    credits: z.int().openapi({ description: "Of `units`, paid by credits." }),
    price: billedPrice.nullable().openapi({ description: "What its master asked of it; null: it had no price." }),
    closed_at: instant,
  })
  .openapi("BilledPeriod");

export function billingHistoryEndpoints(deps: Deps): Endpoint[] {
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/subaccounts/{id}/statements",
        tag: "Statements",
        summary: "What a subaccount was billed for, newest period first",
        description:
          "Its lines of closed statements. A master sees those of its subaccounts; the subaccount its own with the feature `billing_history`, also those of masters before that had it on.",
        access: { who: everyone, scopes: ["read", "billing"] },
        params: idParams("sub"),
        query: z.strictObject(pageParams),
        status: 200,
        answer: listOf(shape),
      },
      async (call) => {
        const { limit, after, page } = pagingOf(deps, call);
        const subaccount = await findSubaccount(call.db, call.principal, call.params.id, deps.clock);
        const from = after === undefined ? undefined : ([String(after[0]), String(after[1])] as const);
        const found = await listBillingHistory(call.db, call.principal, subaccount, { after: from, limit });
        return { body: page(found, show, ({ start, statementId }) => [start.toISOString(), statementId]) };
      },
    ),
  ];
}

function show(line: BilledPeriod): z.output<typeof shape> {
  const { messages, units, corrections, credits } = line;
  return {
    subaccount_id: showId("sub", line.subaccountId),
    period: showPeriod(line),
    monthly_limit: line.monthlyLimit,
    top_up: line.topUp,
    messages,
    units,
    corrections,
    billed: billedUnits(line),
    credits,
    price: line.price === null ? null : shownAmounts(line.price),
    closed_at: showInstant(line.closedAt),
  };
}
