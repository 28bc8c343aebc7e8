/** What is told of whom, and how. */
import { z } from "@hono/zod-openapi";
import { MAX_UNITS } from "../accounts/fields.ts";
import { changeRule, createRule, removeRule } from "../alerts/change-rules.ts";
import { type AlertRule, findRule, listRules, type RuleInForce, rulesInForce } from "../alerts/find-rules.ts";
import { alertKinds, alertTopics, deliveries, type RuleTerms } from "../alerts/rule.ts";
import { ruleFields } from "../alerts/rule-fields.ts";
import type { AlertRuleId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { detailsOf } from "./details.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import * as field from "./fields.ts";
import { pagingOf } from "./paging.ts";

const tag = "Alerts";
const changing = { who: owners, scopes: [] } as const;
const reading = { who: owners, scopes: ["read"] } as const;

const kind = z.enum(alertKinds).openapi({
  description:
    "`threshold`: a percentage of alert_thresholds is crossed; `refusals`: the first message that a limit refuses in a period; `forecast`: 100 % is expected soon; `jump`: a day brings far more than is usual on it.",
});
const terms = {
  enabled: z.boolean(),
  topic: z.enum(alertTopics).openapi({ description: "Which notification e-mails hear of it." }),
  delivery: z.enum(deliveries).nullable().openapi({ description: "Null: as the master's alert_delivery says." }),
  percents: z
    .array(z.int())
    .nullable()
    .openapi({
      description: "threshold: only these of alert_thresholds; null: all.",
      example: [100],
    }),
  days_before: z
    .int()
    .nullable()
    .openapi({ description: "forecast: so many days before 100 % is expected.", example: 3 }),
  factor: z
    .number()
    .nullable()
    .openapi({ description: "jump: so many times what is usual on that weekday.", example: 5 }),
  minimum: z.int().nullable().openapi({ description: "jump: and at least so many units in the day.", example: 500 }),
};

const ruleShape = z
  .strictObject({
    id: field.shownId("rul"),
    subaccount_id: field.shownId("sub").nullable().openapi({
      description: "Null: for all of the master's accounts without an own rule of the kind.",
    }),
    kind,
    name: z.string(),
    ...terms,
    created_at: field.instant,
    updated_at: field.instant,
  })
  .openapi("AlertRule");

const inForceShape = z
  .strictObject({
    kind,
    source: z.enum(["subaccount", "master", "default"]),
    id: field.shownId("rul").nullable(),
    ...terms,
  })
  .openapi("AlertRuleInForce");

const given = {
  name: field.line(200).optional(),
  enabled: z.boolean().optional(),
  topic: terms.topic.optional(),
  delivery: terms.delivery.optional(),
  percents: field.alertThresholds.nullable().optional(),
  days_before: field.ruled(z.int(), ruleFields.daysBefore.rule).openapi({ minimum: 1, maximum: 30 }).optional(),
  factor: field.ruled(z.number(), ruleFields.factor.rule).openapi({ minimum: 1.5, maximum: 1000 }).optional(),
  minimum: field.ruled(z.int(), ruleFields.minimum.rule).openapi({ minimum: 100, maximum: MAX_UNITS }).optional(),
};

const requiredKind = z
  .enum(alertKinds, { error: ({ input }) => (input === undefined ? "This member is required." : undefined) })
  .openapi({ description: "Of what it speaks; it can't be changed." });

const newRule = z
  .strictObject({ kind: requiredKind, subaccount_id: field.idField("sub").optional(), ...given })
  .openapi("NewAlertRule", {
    example: { kind: "forecast", name: "A week ahead", days_before: 7, delivery: "daily" },
  });
const ruleChange = z.strictObject(given).openapi("AlertRuleChange", { example: { enabled: false } });

export function alertRuleEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), list(deps), show(), change(deps), remove(deps), inForce(deps)];
}

function create({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/alert_rules",
      tag,
      summary: "Say what is told, and how",
      description: "One for each kind and account. Members that are left out are those of the default.",
      access: { who: ["master"], scopes: [] },
      body: newRule,
      status: 201,
      answer: ruleShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { kind, subaccount_id: subaccountId } = body;
      const rule = await createRule(db, principal, { ...detailsOf(ruleFields, body), kind, subaccountId }, clock);
      return { body: showRule(rule), version: rule.version };
    },
  );
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/alert_rules",
      tag,
      summary: "The rules that were made",
      description: "Where there is none of a kind, the default holds.",
      access: reading,
      query: z.strictObject({
        subaccount_id: field.idField("sub").optional(),
        kind: z.enum(alertKinds).optional(),
        ...field.pageParams,
      }),
      status: 200,
      answer: field.listOf(ruleShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const { subaccount_id: subaccountId, kind } = call.query;
      const filter = { subaccountId, kind, after: after?.[0] as AlertRuleId | undefined, limit };
      return { body: page(await listRules(call.db, call.principal, filter), showRule, ({ id }) => [id]) };
    },
  );
}

const one = { tag, path: "/v1/alert_rules/{id}", params: field.idParams("rul") } as const;

function show(): Endpoint {
  return endpoint(
    { ...one, method: "get", summary: "One rule", access: reading, status: 200, answer: ruleShape },
    async ({ db, principal, params }) => {
      const rule = await findRule(db, principal, params.id);
      return { body: showRule(rule), version: rule.version };
    },
  );
}

function change({ clock }: Deps): Endpoint {
  return endpoint(
    {
      ...one,
      method: "patch",
      summary: "Change a rule",
      access: changing,
      body: ruleChange,
      status: 200,
      answer: ruleShape,
    },
    async ({ db, principal, params, body, ifMatch }) => {
      const version = await versionFor(ifMatch, () => findRule(db, principal, params.id));
      const rule = await changeRule(db, principal, params.id, detailsOf(ruleFields, body), { version }, clock);
      return { body: showRule(rule), version: rule.version };
    },
  );
}

function remove({ clock }: Deps): Endpoint {
  return endpoint(
    { ...one, method: "delete", summary: "Remove a rule: the next one up holds again", access: changing, status: 204 },
    async ({ db, principal, params }) => {
      await removeRule(db, principal, params.id, clock);
      return {};
    },
  );
}

function inForce({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/subaccounts/{id}/alert_rules",
      tag,
      summary: "What is told of a subaccount, one rule of each kind",
      access: reading,
      params: field.idParams("sub"),
      status: 200,
      answer: z.strictObject({ data: z.array(inForceShape) }),
    },
    async ({ db, principal, params }) => {
      const rules = await rulesInForce(db, principal, params.id, clock);
      return { body: { data: rules.map(showInForce) } };
    },
  );
}

function showTerms({ enabled, topic, delivery, percents, daysBefore, factor, minimum }: RuleTerms) {
  return {
    enabled,
    topic,
    delivery,
    percents: percents === null ? null : [...percents],
    days_before: daysBefore,
    factor,
    minimum,
  };
}

function showInForce(rule: RuleInForce): z.output<typeof inForceShape> {
  return { kind: rule.kind, source: rule.source, id: field.showId("rul", rule.id), ...showTerms(rule) };
}

function showRule(rule: AlertRule): z.output<typeof ruleShape> {
  return {
    id: field.showId("rul", rule.id),
    subaccount_id: field.showId("sub", rule.subaccountId),
    kind: rule.kind,
    name: rule.name,
    ...showTerms(rule),
    created_at: field.showInstant(rule.createdAt),
    updated_at: field.showInstant(rule.updatedAt),
  };
}
