/** What was told, to whom, and whether it arrived. */
import { z } from "@hono/zod-openapi";
import { type AlertView, listAlerts } from "../alerts/list.ts";
import { alertKinds } from "../alerts/rule.ts";
import type { AlertId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint } from "./endpoint.ts";
import { dateField, idField, instant, listOf, pageParams, showId, showInstant, shownId } from "./fields.ts";
import { pagingOf } from "./paging.ts";
import { periodShape, showPeriod } from "./usage-shape.ts";

const letterShape = z.strictObject({
  side: z.enum(["master", "subaccount"]),
  sent_at: instant,
  recipients: z.array(
    z.strictObject({
      email: z.string(),
      state: z.enum(["queued", "deferred", "delivered", "bounced", "cancelled"]),
    }),
  ),
});

const alertShape = z
  .strictObject({
    id: shownId("alr"),
    at: instant,
    kind: z.enum(alertKinds),
    subaccount_id: shownId("sub").nullable().openapi({ description: "Null: the master's own allowance." }),
    period: periodShape,
    used: z.int(),
    limit: z.int().nullable().openapi({ description: "With top-ups; of the master its allowance." }),
    level: z.int().nullable().openapi({ description: "Percent, of thresholds and refusals." }),
    data: z.record(z.string(), z.unknown()).openapi({
      description: "Of a forecast `expected`, `earliest`, `latest`, `at_end`; of a jump `date`, `units`, `usual`.",
    }),
    delivery: z.enum(["immediately", "daily", "weekly", "off"]).nullable().openapi({
      description: "`off`: a rule says so, or nobody wants to hear of it; null: not decided yet.",
    }),
    digest_at: instant.nullable().openapi({ description: "When the digest goes out for which it waits." }),
    told_at: instant.nullable(),
    letters: z.array(letterShape).openapi({ description: "A subaccount sees those to itself." }),
  })
  .openapi("Alert");

export function alertEndpoints(deps: Deps): Endpoint[] {
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/alerts",
        tag: "Alerts",
        summary: "What was told, to whom, and whether it arrived, newest first",
        access: { who: ["master", "subaccount"], scopes: ["read"] },
        query: z.strictObject({
          subaccount_id: idField("sub").optional(),
          kind: z.enum(alertKinds).optional(),
          period: dateField.optional().openapi({ description: "A period's start in the master's time zone." }),
          ...pageParams,
        }),
        status: 200,
        answer: listOf(alertShape),
      },
      async (call) => {
        const { limit, after, page } = pagingOf(deps, call);
        const { subaccount_id: subaccountId, kind, period } = call.query;
        const filter = { subaccountId, kind, period, before: after?.[0] as AlertId | undefined, limit };
        const alerts = await listAlerts(call.db, call.principal, filter, deps.clock);
        return { body: page(alerts, showAlert, ({ id }) => [id]) };
      },
    ),
  ];
}

function showAlert(alert: AlertView): z.output<typeof alertShape> {
  return {
    id: showId("alr", alert.id),
    at: showInstant(alert.at),
    kind: alert.kind,
    subaccount_id: showId("sub", alert.subaccountId),
    period: showPeriod(alert.period),
    used: alert.used,
    limit: alert.base,
    level: alert.level,
    data: alert.data,
    delivery: alert.delivery,
    digest_at: showInstant(alert.digestAt),
    told_at: showInstant(alert.toldAt),
    letters: alert.letters.map(({ side, sentAt, recipients }) => ({
      side,
      sent_at: showInstant(sentAt),
      recipients: recipients.map(({ email, state }) => ({ email, state: state as "queued" })),
    })),
  };
}
