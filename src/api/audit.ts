/** Who changed what, newest first. */
import { z } from "@hono/zod-openapi";
import { type AuditEntry, listAudit } from "../audit/list.ts";
import type { AuditId } from "../platform/ids.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { idField, instant, line, listOf, pageParams, showId, showInstant, shownId } from "./fields.ts";
import { pagingOf } from "./paging.ts";

const auditShape = z
  .strictObject({
    id: shownId("aud"),
    at: instant,
    subaccount_id: shownId("sub").nullable(),
    actor: z.strictObject({
      kind: z.enum(["operator", "master", "subaccount", "system", "cli"]),
      id: z.string().nullable().openapi({ description: "The key, or the account where there was none." }),
      acting_for: z.string().nullable(),
    }),
    action: z.string().openapi({ example: "quota.set" }),
    target: z.string().openapi({ description: "What was changed." }),
    before: z.unknown(),
    after: z.unknown(),
  })
  .openapi("AuditEntry");

export function auditEndpoints(deps: Deps): Endpoint[] {
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/audit",
        tag: "Audit",
        summary: "Who changed what, newest first",
        access: { who: everyone, scopes: ["read"] },
        query: z.strictObject({
          action: line(100).optional(),
          target: line(100).optional().openapi({ description: "The id of what was changed." }),
          subaccount_id: idField("sub").optional(),
          master_id: idField("mas").optional().openapi({ description: "The operator's choice." }),
          ...pageParams,
        }),
        status: 200,
        answer: listOf(auditShape),
      },
      async (call) => {
        const { limit, after, page } = pagingOf(deps, call);
        const { action, target, subaccount_id: subaccountId, master_id: masterId } = call.query;
        const filter = { action, target, subaccountId, masterId, after: after?.[0] as AuditId | undefined, limit };
        return { body: page(await listAudit(call.db, call.principal, filter), showEntry, ({ id }) => [id]) };
      },
    ),
  ];
}

function showEntry(entry: AuditEntry): z.output<typeof auditShape> {
  const { kind, id, actingFor } = entry.actor;
  return {
    id: showId("aud", entry.id),
    at: showInstant(entry.at),
    subaccount_id: showId("sub", entry.subaccountId),
    actor: { kind, id, acting_for: actingFor },
    action: entry.action,
    target: entry.target,
    before: entry.before,
    after: entry.after,
  };
}
