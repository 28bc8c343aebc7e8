/** When an account will have used its limit, as the command line shows it. */
import { type AccountForecast, readForecast, readMasterForecast } from "../metering/read-forecast.ts";
import type { AccountRef } from "./input.ts";
import { facts, instant } from "./layout.ts";
import { operator, type Session } from "./session.ts";
import { shape } from "./shape.ts";
import type { Shown } from "./verb.ts";

export async function shownForecast({ db, clock }: Session, ref: AccountRef): Promise<Shown> {
  const read =
    ref.kind === "subaccount"
      ? readForecast(db, operator, ref.id, clock)
      : readMasterForecast(db, operator, ref.id, clock);
  const { base, ...forecast } = await read;
  const { period, used, reaches, atEnd, days } = forecast;
  const text = facts({
    period: `${instant(period.start)} to ${instant(period.end)}`,
    used,
    limit: base ?? "none",
    "100 %": whenOf(forecast),
    band: reaches.earliest === null ? undefined : `${reaches.earliest} to ${reaches.latest ?? "after the period"}`,
    "by the end": atEnd === null ? undefined : `${atEnd.expected} (${atEnd.low} to ${atEnd.high})`,
    "drawn from": `${days} days`,
  });
  return { json: shape({ ...forecast, limit: base }), text };
}

function whenOf({ state, reaches }: Pick<AccountForecast, "state" | "reaches">): string {
  switch (state) {
    case "reached":
      return "reached";
    case "expected":
      return `expected on ${reaches.expected}`;
    case "possible":
      return "possible, but not expected in this period";
    case "not_expected":
      return "not expected in this period";
    case "no_limit":
      return "there is no limit of its own";
    case "unknown":
      return "too few days are known";
  }
}
