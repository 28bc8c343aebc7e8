/** Templates, from which subaccounts are made. */
import { z } from "@hono/zod-openapi";
import {
  changeTemplate,
  createTemplate,
  deleteTemplate,
  findTemplate,
  listTemplates,
  type Template,
  templateFields,
} from "../accounts/templates.ts";
import type { TemplateId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { detailsOf } from "./details.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import * as field from "./fields.ts";
import { pagingOf } from "./paging.ts";
import { featuresField } from "./plan-shape.ts";
import { manyDetails } from "./subaccount-shape.ts";

const tag = "Templates";
const reading = { who: owners, scopes: ["read"] } as const;
const changing = { who: owners, scopes: [] } as const;

const { rate_limits, reserve, daily_cap_ramp, enforce_2fa } = manyDetails;
const settings = z.strictObject({
  monthly_limit: field.units.nullable().optional(),
  plan: field.line(100).nullable().optional(),
  features: featuresField.optional(),
  alert_thresholds: field.alertThresholds.nullable().optional(),
  language: field.language.nullable().optional(),
  time_zone: field.timeZone.nullable().optional(),
  region: field.line(100).nullable().optional(),
  billing_profile: field.line(100).nullable().optional(),
  ...{ rate_limits, reserve, daily_cap_ramp, enforce_2fa },
});

const name = field.line(100).openapi({ example: "Shops in Germany" });

const newTemplate = z
  .strictObject({
    name,
    settings: settings.optional(),
    from_subaccount: field
      .idField("sub")
      .optional()
      .openapi({ description: "Its settings are copied; those that are given here win." }),
  })
  .openapi("NewTemplate", {
    example: { name: "Shops in Germany", settings: { plan: "Starter", language: "de", time_zone: "Europe/Berlin" } },
  });

const templateShape = z
  .strictObject({
    id: field.shownId("tpl"),
    master_id: field.shownId("mas").optional().openapi({ description: "Only the operator sees it." }),
    name: z.string(),
    settings: z.record(z.string(), z.unknown()).openapi({ example: { monthly_limit: 5000, language: "de" } }),
    created_at: field.instant,
    updated_at: field.instant,
  })
  .openapi("Template");

export function templateEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), list(deps), show(), change(deps), remove(deps)];
}

function create({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/templates",
      tag,
      summary: "Create a template, from scratch or from a subaccount",
      description: "It holds settings only: no secrets, keys, people or data.",
      access: { who: ["master"], scopes: [] },
      body: newTemplate,
      status: 201,
      answer: templateShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const details = body.settings && detailsOf(templateFields, body.settings);
      const input = { name: body.name, settings: details, fromSubaccount: body.from_subaccount };
      const template = await createTemplate(db, principal, input, clock);
      return { body: showTemplate(template, false), version: template.version };
    },
  );
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/templates",
      tag,
      summary: "Templates, oldest first",
      access: reading,
      query: z.strictObject({
        master_id: field.idField("mas").optional().openapi({ description: "The operator's choice." }),
        ...field.pageParams,
      }),
      status: 200,
      answer: field.listOf(templateShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const filter = { after: after?.[0] as TemplateId | undefined, limit, masterId: call.query.master_id };
      const found = await listTemplates(call.db, call.principal, filter);
      return {
        body: page(
          found,
          (one) => showTemplate(one, call.principal.kind === "operator"),
          ({ id }) => [id],
        ),
      };
    },
  );
}

function show(): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/templates/{id}",
      tag,
      summary: "One template",
      access: reading,
      params: field.idParams("tpl"),
      status: 200,
      answer: templateShape,
    },
    async ({ db, principal, params }) => {
      const template = await findTemplate(db, principal, params.id);
      return { body: showTemplate(template, principal.kind === "operator"), version: template.version };
    },
  );
}

function change({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "patch",
      path: "/v1/templates/{id}",
      tag,
      summary: "Change a template; subaccounts that were made from it stay as they are",
      access: changing,
      params: field.idParams("tpl"),
      body: z
        .strictObject({ name: name.optional(), settings: settings.optional() })
        .openapi("TemplateChange", { example: { settings: { plan: "Business" } } }),
      status: 200,
      answer: templateShape,
    },
    async ({ db, principal, params: { id }, body, ifMatch }) => {
      const version = await versionFor(ifMatch, () => findTemplate(db, principal, id));
      const patch = { name: body.name, settings: body.settings && detailsOf(templateFields, body.settings) };
      const template = await changeTemplate(db, principal, id, patch, { version }, clock);
      return { body: showTemplate(template, principal.kind === "operator"), version: template.version };
    },
  );
}

function remove({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: "/v1/templates/{id}",
      tag,
      summary: "Delete a template",
      access: changing,
      params: field.idParams("tpl"),
      status: 204,
    },
    async ({ db, principal, params }) => {
      await deleteTemplate(db, principal, params.id, clock);
      return {};
    },
  );
}

function showTemplate(template: Template, withMaster: boolean): z.output<typeof templateShape> {
  return {
    id: field.showId("tpl", template.id),
    ...(withMaster ? { master_id: field.showId("mas", template.masterId) } : {}),
    name: template.name,
    settings: { ...template.settings },
    created_at: field.showInstant(template.createdAt),
    updated_at: field.showInstant(template.updatedAt),
  };
}
