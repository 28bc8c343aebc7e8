/**
 * A cap of each day for new subaccounts, which grows until they are free: a stolen credential must not burn a month in an hour.
 *
 * A master sets what new subaccounts start with; it is copied at creation, so that a later change of the default changes nobody's cap, and can
 * be changed or taken away for each. It is off until a master turns it on: a subaccount with a monthly limit may use that limit at once
 * unless somebody has said otherwise, and a sender who moves in with a list would be refused for a reason that nobody told it. Where it is on,
 * subaccounts below `from_limit` (5,000 unless told) stay free, since their limit is no more than a day's cap.
 * The ramp counts days of 24 hours from creation, or from the first on which the account may send; the cap holds in any 24 hours, and is
 * decided as the other limits of a short time are (migrations/0022).
 */
import { invalid } from "../platform/errors.ts";
import type { DailyCapDefault } from "../platform/schema.ts";
import type { Rule } from "./fields.ts";
import { orNull, units } from "./fields.ts";

const MOST_DAYS = 90;
const FROM_LIMIT = 5000;
const DAY_MS = 86_400_000;

/** The caps of the first day, the second and so on: each from 1, none below the one before. */
export const ramp: Rule = (value) => {
  if (!Array.isArray(value) || value.length < 1 || value.length > MOST_DAYS) {
    return `This must be a list of 1 to ${MOST_DAYS} caps, one for each day.`;
  }
  const whole = value.every((cap) => units(cap) === undefined && cap >= 1);
  const growing = value.every((cap, i) => i === 0 || cap >= value[i - 1]);
  return whole && growing ? undefined : "Caps are whole numbers from 1, none below the one before.";
};

export const dailyCapDefault: Rule = (value) => {
  const wrong = "This is {ramp, from_limit}.";
  if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong;
  const { ramp: caps, from_limit: fromLimit, ...others } = value as Record<string, unknown>;
  if (Object.keys(others).length > 0) return wrong;
  return (
    (caps === undefined ? undefined : ramp(caps)) ?? (fromLimit === undefined ? undefined : orNull(units)(fromLimit))
  );
};

/** What is given to a master that has none yet, or one. @throws Fault invalid at /new_subaccount_daily_cap without any ramp */
export function dailyCapGiven(before: DailyCapDefault | null, patch: DailyCapPatch | null): DailyCapDefault | null {
  const merged = mergeDailyCap(before, patch);
  if (merged === undefined) throw invalid("/new_subaccount_daily_cap", "It needs a ramp: a cap for each day.");
  return merged;
}

/** What is given of it; null for `from_limit`: 5,000 again. */
export type DailyCapPatch = Readonly<{ ramp?: readonly number[] | undefined; from_limit?: number | null | undefined }>;

/** A merge patch. Undefined: there is no ramp. */
function mergeDailyCap(
  before: DailyCapDefault | null,
  patch: DailyCapPatch | null,
): DailyCapDefault | null | undefined {
  if (patch === null) return null;
  const caps = patch.ramp ?? before?.ramp;
  if (caps === undefined) return undefined;
  const fromLimit = patch.from_limit === undefined ? before?.from_limit : patch.from_limit;
  // In the order in which jsonb keeps the members.
  return { ramp: caps, from_limit: fromLimit ?? FROM_LIMIT };
}

/** The ramp of a new subaccount with that limit; null: free. */
export function rampFor(monthlyLimit: number | null, given: DailyCapDefault | null): readonly number[] | null {
  if (given === null) return null;
  return monthlyLimit !== null && monthlyLimit < given.from_limit ? null : given.ramp;
}

/** `units` in any 24 hours, until the next step; `day` from 1. */
export type DailyCap = Readonly<{ units: number; day: number; until: Date }>;

/** What holds at that moment; null: free. */
export function dailyCapAt(caps: readonly number[] | null, startedAt: Date | null, now: Date): DailyCap | null {
  if (caps === null || startedAt === null) return null;
  const day = Math.max(0, Math.floor((now.getTime() - startedAt.getTime()) / DAY_MS));
  const cap = caps[day];
  if (cap === undefined) return null;
  return { units: cap, day: day + 1, until: new Date(startedAt.getTime() + (day + 1) * DAY_MS) };
}
