/** How usage is shown. Units are unique envelope recipients. */
import { z } from "@hono/zod-openapi";
import type { MasterUsage, SubaccountUsage } from "../metering/usage.ts";
import { instant, showInstant } from "./fields.ts";

export const periodShape = z.strictObject({ start: instant, end: instant }).openapi("Period");

export const usageShape = z
  .strictObject({
    period: periodShape,
    used: z.int(),
    limit: z.int().nullable().openapi({ description: "Null: bounded by the master only." }),
    top_up: z.int(),
    remaining: z
      .int()
      .nullable()
      .openapi({ description: "max(0, limit + top_up + credits.used - used) + credits.left; null when unlimited." }),
    blocked_by: z.enum(["master"]).nullable(),
    refused: z.int().openapi({ description: "Messages refused, for whatever reason." }),
    corrections: z.int(),
    credits: z
      .strictObject({ used: z.int(), left: z.int() })
      .openapi({ description: "Of `used`, paid by credits; and what they still hold, whatever the period." }),
    master_remaining: z
      .int()
      .nullable()
      .optional()
      .openapi({ description: "Only the master and the operator see it." }),
  })
  .openapi("Usage");

export const masterUsageShape = z
  .strictObject({
    period: periodShape,
    used: z.int(),
    allowance: z.int().nullable(),
    cap: z.int().nullable().openapi({ description: "What is never exceeded; null: unlimited." }),
    remaining: z.int().nullable(),
    corrections: z.int(),
  })
  .openapi("MasterUsage");

export function showPeriod({ start, end }: { start: Date; end: Date }): z.output<typeof periodShape> {
  return { start: showInstant(start), end: showInstant(end) };
}

export function showUsage(usage: SubaccountUsage): z.output<typeof usageShape> {
  const { masterRemaining } = usage;
  return {
    period: showPeriod(usage.period),
    used: usage.used,
    limit: usage.limit,
    top_up: usage.topUp,
    remaining: usage.remaining,
    blocked_by: usage.blockedBy,
    refused: usage.refused,
    corrections: usage.corrections,
    credits: usage.credits,
    ...(masterRemaining === undefined ? {} : { master_remaining: masterRemaining }),
  };
}

export function showMasterUsage(usage: MasterUsage): z.output<typeof masterUsageShape> {
  const { period, used, allowance, cap, remaining, corrections } = usage;
  return { period: showPeriod(period), used, allowance, cap, remaining, corrections };
}
