/** The caller's own account: a master's or a subaccount's. */
import { z } from "@hono/zod-openapi";
import { changeMaster } from "../accounts/change-master.ts";
import { changeSubaccount } from "../accounts/change-subaccount.ts";
import { findMaster, findSubaccount } from "../accounts/find.ts";
import { masterFields } from "../accounts/master-fields.ts";
import type { MasterPrincipal, SubaccountPrincipal } from "../accounts/principal.ts";
import { subaccountFields } from "../accounts/subaccount-fields.ts";
import { listUndeliverable } from "../letters/undeliverable.ts";
import type { Db } from "../platform/database.ts";
import type { Deps } from "./deps.ts";
import { detailsOf } from "./details.ts";
import { type Answer, type Endpoint, endpoint } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import { instant, showInstant } from "./fields.ts";
import { masterChange, masterShape, showMaster } from "./master-shape.ts";
import { subaccountChange, subaccountShape } from "./subaccount-shape.ts";
import { shownSubaccount } from "./subaccounts.ts";
import { read } from "./validate.ts";

const tag = "Account";
const who = ["master", "subaccount"] as const;
const undeliverable = {
  undeliverable_emails: z
    .array(
      z.strictObject({
        email: z.string(),
        since: instant,
        reason: z.string().openapi({ description: "The last answer." }),
      }),
    )
    .openapi({
      description: "Addresses at which a letter of ours bounced, until one arrives or the address is changed.",
    }),
};
const accountShape = z.union([masterShape.extend(undeliverable), subaccountShape.extend(undeliverable)]);

/** Which members there are follows from the account; the rule checks them by its own schema. */
const accountChange = z.looseObject({}).openapi({
  anyOf: [{ $ref: "#/components/schemas/MasterChange" }, { $ref: "#/components/schemas/SubaccountChange" }],
  example: { alert_delivery: "daily", contact_policy: { quota: "both" } },
  description:
    "A master may change name, notification_emails, alert_thresholds, alert_delivery, alert_urgent_immediately, raise_link_max_percent, language, enforce_2fa, contact_policy, new_subaccount_daily_cap and strict_allocation; a subaccount owner_name, owner_email, language and time_zone.",
});

type Own = MasterPrincipal | SubaccountPrincipal;

export function accountEndpoints(deps: Deps): Endpoint[] {
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/account",
        tag,
        summary: "The caller's own account",
        access: { who, scopes: ["read"] },
        status: 200,
        answer: accountShape,
      },
      ({ db, principal }) => show(deps, db, principal),
    ),
    endpoint(
      {
        method: "patch",
        path: "/v1/account",
        tag,
        summary: "Change the caller's own account",
        access: { who, scopes: [] },
        body: accountChange,
        status: 200,
        answer: accountShape,
      },
      async ({ db, principal, body, ifMatch }) => {
        const version = await versionFor(ifMatch, () => show(deps, db, principal));
        return change(deps, db, principal, body, version);
      },
    ),
  ];
}

async function show(deps: Deps, db: Db, principal: Own): Promise<Answer<typeof accountShape>> {
  if (principal.kind === "master") {
    const master = await findMaster(db, principal, principal.masterId, deps.clock);
    return { body: { ...showMaster(master), ...(await bounced(db, principal)) }, version: master.version };
  }
  const subaccount = await findSubaccount(db, principal, principal.subaccountId, deps.clock);
  const shown = await shownSubaccount(db, principal, subaccount, deps);
  return { body: { ...shown, ...(await bounced(db, principal, subaccount.ownerEmail)) }, version: subaccount.version };
}

/** @param only of a subaccount: its owner's address */
async function bounced(db: Db, { masterId }: Own, only?: string | null) {
  const flagged = await listUndeliverable(db, masterId, only);
  return { undeliverable_emails: flagged.map(({ since, ...one }) => ({ ...one, since: showInstant(since) })) };
}

async function change(
  deps: Deps,
  db: Db,
  principal: Own,
  body: Record<string, unknown>,
  version: number | undefined,
): Promise<Answer<typeof accountShape>> {
  const { clock } = deps;
  if (principal.kind === "master") {
    const patch = detailsOf(masterFields, read(masterChange, body));
    const master = await changeMaster(db, principal, principal.masterId, patch, { version }, clock);
    const answer = { ...showMaster(master), ...(await bounced(db, principal)) };
    return { body: answer, version: master.version, changed: [{ kind: "master", id: master.id }] };
  }
  const patch = detailsOf(subaccountFields, read(subaccountChange, body));
  const changed = await changeSubaccount(db, principal, principal.subaccountId, patch, { version }, clock);
  const shown = await shownSubaccount(db, principal, changed, deps);
  const answer = { ...shown, ...(await bounced(db, principal, changed.ownerEmail)) };
  return { body: answer, version: changed.version, changed: [{ kind: "subaccount", id: changed.id }] };
}
