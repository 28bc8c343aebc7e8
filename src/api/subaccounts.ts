/** Subaccounts: created, listed, shown, changed. */
import { z } from "@hono/zod-openapi";
import type { Subaccount } from "../accounts/account.ts";
import { changeSubaccount } from "../accounts/change-subaccount.ts";
import { findSubaccount } from "../accounts/find.ts";
import { listSubaccounts } from "../accounts/list-subaccounts.ts";
import type { Principal } from "../accounts/principal.ts";
import { findView } from "../accounts/saved-views.ts";
import { subaccountFields } from "../accounts/subaccount-fields.ts";
import { readUsages } from "../metering/usage.ts";
import { onboardSubaccount } from "../people/owner.ts";
import type { Db } from "../platform/database.ts";
import { type Deps, lettersOf } from "./deps.ts";
import { detailsOf } from "./details.ts";
import { type Endpoint, endpoint, everyone, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import { idParams, listOf, showId, shownId } from "./fields.ts";
import { negotiate } from "./negotiate.ts";
import { pagingOf } from "./paging.ts";
import { Problem } from "./problem.ts";
import { type ListQuery, listQuery, searchOf, withView } from "./subaccount-search.ts";
import { newSubaccount, showSubaccount, subaccountChange, subaccountShape } from "./subaccount-shape.ts";
import { subaccountsTable } from "./subaccounts-table.ts";

const tag = "Subaccounts";

const createdShape = subaccountShape
  .extend({
    credential: z
      .strictObject({ id: shownId("cred"), username: z.string(), password: z.string() })
      .optional()
      .openapi({ description: "With `handover`: shown once." }),
    hand_over: z
      .strictObject({
        smtp_host: z.string(),
        smtp_port: z.int(),
        smtps_port: z.int().nullable(),
        log_in_url: z.string().nullable(),
      })
      .optional()
      .openapi({
        description:
          "With `handover`: where to send, and a link by which the owner sets a password within 24 hours. Shown once.",
      }),
  })
  .openapi("CreatedSubaccount");

export function subaccountEndpoints(deps: Deps): Endpoint[] {
  return [create(deps), list(deps), show(deps), change(deps)];
}

/** As the principal may see it, with the usage of the running period. */
export async function shownSubaccount(
  db: Db,
  principal: Principal,
  subaccount: Subaccount,
  { clock }: Pick<Deps, "clock">,
): Promise<z.output<typeof subaccountShape>> {
  const usages = await readUsages(db, principal, [subaccount], clock);
  return showSubaccount(subaccount, usages.get(subaccount.id)!, principal);
}

function create(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/subaccounts",
      tag,
      summary: "Create a subaccount with its first credential",
      access: { who: ["master"], scopes: [] },
      body: newSubaccount,
      status: 201,
      answer: createdShape,
      idempotent: true,
    },
    async ({ db, principal, body }) => {
      const { name, onboarding, template, sandbox } = body;
      const input = { ...detailsOf(subaccountFields, body), name, onboarding, template, sandbox };
      const { subaccount, credential, logInPath } = await onboardSubaccount(db, principal, input, lettersOf(deps));
      const shown = await shownSubaccount(db, principal, subaccount, deps);
      if (credential === null) return { body: shown, version: subaccount.version };
      const { id, username } = credential.credential;
      const handedOver = { id: showId("cred", id), username, password: credential.password };
      const handed = { ...shown, credential: handedOver, hand_over: handOver(deps, logInPath) };
      return { body: handed, version: subaccount.version };
    },
  );
}

function handOver({ config, publicUrl }: Deps, logInPath: string | null) {
  const { hostname, submissionPort, submissionsPort } = config;
  return {
    smtp_host: hostname,
    smtp_port: submissionPort,
    smtps_port: submissionsPort === 0 ? null : submissionsPort,
    log_in_url: logInPath === null ? null : `${publicUrl()}${logInPath}`,
  };
}

function list(deps: Deps): Endpoint {
  const { clock } = deps;
  return endpoint(
    {
      method: "get",
      path: "/v1/subaccounts",
      tag,
      summary: "Subaccounts with their usage: searched, filtered, sorted",
      description: "With Accept: text/csv all that match as one table, without pages.",
      access: { who: owners, scopes: ["read"] },
      query: listQuery,
      status: 200,
      answer: listOf(subaccountShape),
      also: { "text/csv": "One row per subaccount." },
    },
    async (call) => {
      const { db, principal } = call;
      const view = call.query.view && (await findView(db, principal, call.query.view));
      const query = view ? withView(call.query, view) : call.query;
      const { sort, master_id: masterId, columns } = query;
      const search = { ...searchOf(query), sort, masterId };
      if (negotiate(call.accept, ["application/json", "text/csv"]) === "text/csv") {
        refuse(call.query, ["limit", "cursor"], "The table holds all that match.");
        return { content: await subaccountsTable({ db, principal, clock, log: deps.log }, search, columns) };
      }
      refuse(call.query, ["columns"], "Columns are chosen of the table: Accept: text/csv.");
      // A cursor is of one order: a view that was changed starts again.
      const { limit, after, cut } = pagingOf(deps, { ...call, list: `${call.list} ${view?.version ?? ""}` });
      const filter = { ...search, after, limit };
      const found = await listSubaccounts(db, principal, filter, clock);
      const usages = await readUsages(db, principal, found.items, clock);
      return {
        body: cut(
          found,
          found.items.map((item) => showSubaccount(item, usages.get(item.id)!, principal)),
        ),
      };
    },
  );
}

/** Parameters that mean nothing here. @throws Problem invalid */
function refuse(query: ListQuery, names: readonly (keyof ListQuery)[], detail: string): void {
  const mistakes = names.filter((name) => query[name] !== undefined).map((name) => ({ pointer: `/${name}`, detail }));
  if (mistakes.length > 0) throw new Problem("invalid", detail, { mistakes });
}

function show(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/subaccounts/{id}",
      tag,
      summary: "One subaccount with its usage",
      access: { who: everyone, scopes: ["read"] },
      params: idParams("sub"),
      status: 200,
      answer: subaccountShape,
    },
    async ({ db, principal, params }) => {
      const subaccount = await findSubaccount(db, principal, params.id, deps.clock);
      return { body: await shownSubaccount(db, principal, subaccount, deps), version: subaccount.version };
    },
  );
}

function change(deps: Deps): Endpoint {
  const { clock } = deps;
  return endpoint(
    {
      method: "patch",
      path: "/v1/subaccounts/{id}",
      tag,
      summary: "Change a subaccount, its limit among the rest",
      description:
        "A JSON merge patch. A new limit rules the next message. With the scopes `read` and `billing` it changes billing_profile alone.",
      access: { who: owners, scopes: ["billing"] },
      params: idParams("sub"),
      body: subaccountChange,
      status: 200,
      answer: subaccountShape,
    },
    async ({ db, principal, params: { id }, body, ifMatch }) => {
      const version = await versionFor(ifMatch, () => findSubaccount(db, principal, id, clock));
      const patch = detailsOf(subaccountFields, body);
      const changed = await changeSubaccount(db, principal, id, patch, { version }, clock);
      const shown = await shownSubaccount(db, principal, changed, deps);
      return { body: shown, version: changed.version, changed: [{ kind: "subaccount", id: changed.id }] };
    },
  );
}
