/** How a forecast is shown: the same members wherever one stands. */
import { z } from "@hono/zod-openapi";
import type { AccountForecast } from "../metering/read-forecast.ts";
import { periodShape, showPeriod } from "./usage-shape.ts";

const day = z.string().nullable().openapi({ example: "2026-11-23" });

export const forecastShape = z
  .strictObject({
    period: periodShape,
    used: z.int(),
    limit: z.int().nullable().openapi({
      description: "What 100 % is: the limit with top-ups, or the master's allowance; null: none.",
    }),
    state: z.enum(["reached", "expected", "possible", "not_expected", "no_limit", "unknown"]).openapi({
      description:
        "`expected`: 100 % is expected in this period; `possible`: only within the band; `unknown`: too few days are known.",
    }),
    reaches: z
      .strictObject({ expected: day, earliest: day, latest: day })
      .openapi({ description: "Days of the master's time zone; null: not in this period." }),
    at_end: z.strictObject({ expected: z.int(), low: z.int(), high: z.int() }).nullable().openapi({
      description: "Units used when the period ends, if nothing stops them; four times out of five in the band.",
    }),
    days: z.int().openapi({ description: "From how many days it is drawn, at most 28." }),
  })
  .openapi("Forecast", {
    example: {
      period: { start: "2026-11-01T00:00:00.000Z", end: "2026-12-01T00:00:00.000Z" },
      used: 8200,
      limit: 10_000,
      state: "expected",
      reaches: { expected: "2026-11-23", earliest: "2026-11-20", latest: "2026-11-26" },
      at_end: { expected: 12_400, low: 11_300, high: 13_500 },
      days: 28,
    },
  });

export function showForecast({ period, used, base, state, reaches, atEnd, days }: AccountForecast) {
  return { period: showPeriod(period), used, limit: base, state, reaches, at_end: atEnd, days };
}
