/** A subaccount with its usage, as commands show it. */
import type { Subaccount } from "../accounts/account.ts";
import { actionsOf } from "../accounts/actions.ts";
import { readUsages, type SubaccountUsage } from "../metering/usage.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { formatId } from "../platform/ids.ts";
import type { RateLimits } from "../platform/schema.ts";
import { facts, instant } from "./layout.ts";
import { operator } from "./session.ts";
import { shape, subaccountShape } from "./shape.ts";
import type { Shown } from "./verb.ts";

export async function shownSubaccount(db: Db, subaccount: Subaccount, clock: Clock): Promise<Shown> {
  const usage = (await readUsages(db, operator, [subaccount], clock)).get(subaccount.id) as SubaccountUsage;
  const actions = actionsOf(subaccount, operator);
  const text = facts({
    id: formatId("sub", subaccount.id),
    name: subaccount.name,
    master: formatId("mas", subaccount.masterId),
    state: subaccount.own ? `${subaccount.state} (the master's own sending)` : subaccount.state,
    "public message": subaccount.publicMessage ?? undefined,
    ...usageFacts(usage),
    "short limits": shownRate(subaccount.rateLimits),
    reserve: subaccount.reserve ?? undefined,
    "daily cap":
      subaccount.dailyCap === null ? undefined : `${subaccount.dailyCap.units} on day ${subaccount.dailyCap.day}`,
    "external id": subaccount.externalId ?? undefined,
    owner: [subaccount.ownerName, subaccount.ownerEmail].filter(Boolean).join(", ") || undefined,
    plan: subaccount.plan ?? undefined,
    expires: subaccount.expiresAt ?? undefined,
    erased: subaccount.erasedAt ?? undefined,
    purged: subaccount.purgedAt ?? undefined,
    created: subaccount.createdAt,
    actions: actions.join(", ") || undefined,
  });
  return { json: { ...subaccountShape(subaccount), actions, usage: shape(usage) }, text };
}

export function usageFacts(usage: SubaccountUsage) {
  return {
    period: `${instant(usage.period.start)} to ${instant(usage.period.end)}`,
    used: usage.used,
    limit: usage.limit ?? "none",
    "top-ups": usage.topUp || undefined,
    credits:
      usage.credits.used + usage.credits.left === 0
        ? undefined
        : `${usage.credits.used} used, ${usage.credits.left} left`,
    remaining: usage.remaining ?? "as the master has",
    "blocked by": usage.blockedBy ?? undefined,
    "refused messages": usage.refused,
    corrections: usage.corrections || undefined,
  };
}

/** `60 a minute, 5000 a day` */
export function shownRate(limits: RateLimits | null): string | undefined {
  if (limits === null) return undefined;
  const spans = (["minute", "hour", "day"] as const).filter((span) => limits[span] !== undefined);
  return spans.map((span) => `${limits[span]} a${span === "hour" ? "n" : ""} ${span}`).join(", ");
}
