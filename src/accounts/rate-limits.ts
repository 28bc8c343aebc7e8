/** Limits of a short time, as they are given and merged: units in any minute, hour or day. */
import type { RateLimits } from "../platform/schema.ts";

/** Null takes a limit away; what is left out stays. */
export type RateLimitsPatch = { readonly [span in keyof RateLimits]?: number | null | undefined };

/** A merge patch (RFC 7396). Null: no limit is left. In the order in which jsonb keeps the members, so that equal ones look equal. */
export function mergeRateLimits(before: RateLimits | null, patch: RateLimitsPatch | null): RateLimits | null {
  if (patch === null) return null;
  const merged = { ...before, ...withoutUndefined(patch) };
  const left = (["day", "hour", "minute"] as const).flatMap((span) => {
    const most = merged[span] ?? null;
    return most === null ? [] : [[span, most] as const];
  });
  return left.length === 0 ? null : Object.fromEntries(left);
}

function withoutUndefined(patch: RateLimitsPatch): RateLimitsPatch {
  return Object.fromEntries(Object.entries(patch).filter(([, most]) => most !== undefined));
}
