/** Limits and allowances that will be reached within as many days as the account's rule says. */
import { sql } from "kysely";
import type { Forecast } from "../metering/forecast.ts";
import { forecastOf } from "../metering/read-forecast.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { type Candidate, eachCandidate, type Patience, recentAccountOf } from "./candidate.ts";
import { defaultRules } from "./rule.ts";

const DAY_MS = 86_400_000;
const MOST_AT_ONCE = 5_000; // the others in the next run
/** A day brings a week's use of this period at the most: all of it on one weekday. */
const MOST_IN_A_DAY = 7;

type ForecastCandidate = Candidate & Readonly<{ days_before: number }>;

/** Returns how many were found. */
export async function findForecasts(db: Db, clock: Clock, patience: Patience): Promise<number> {
  return eachCandidate(await readCandidates(db), patience, (candidate) => look(db, candidate, clock));
}

/** Those that have sent, that were not looked at today, and that could come so far within the days of their rule. */
async function readCandidates(db: Db): Promise<ForecastCandidate[]> {
  const { rows } = await sql<ForecastCandidate>`
    select k.account_id, k.master_id, k.day::text as day, coalesce(s.created_at, m.created_at) as created_at, r.days_before,
           m.anchor_day, m.time_zone, m.next_anchor_day, m.next_time_zone, m.calendar_changes_at
      from usage_mark k
      join usage u on u.account_id = k.account_id and u.period_start = k.period_start
      join master m on m.id = k.master_id
      left join subaccount s on s.id = k.account_id
      left join alert_rule own on coalesce(own.subaccount_id, own.master_id) = k.account_id and own.kind = 'forecast'
      left join alert_rule every on coalesce(every.subaccount_id, every.master_id) = m.id and every.kind = 'forecast',
           lateral (select coalesce(own.enabled, every.enabled, true) as enabled,
                           coalesce(own.days_before, every.days_before, ${defaultRules.forecast.daysBefore}::smallint) as days_before) r
     where k.foreseen_day is distinct from k.day and r.enabled and u.open and u.period_end > (select pm_now()) and u.base > u.used
       and u.base - u.used <= (r.days_before + 1) * ${MOST_IN_A_DAY}
           * u.used / greatest(1, extract(epoch from (select pm_now()) - u.period_start)::float8 / 86400)
       and not exists (select from alert a where a.account_id = k.account_id and a.period_start = k.period_start
                          and a.base = u.base and a.reason = 'forecast')
     order by u.used::float8 / u.base desc limit ${MOST_AT_ONCE}`.execute(db);
  return rows;
}

async function look(db: Db, candidate: ForecastCandidate, clock: Clock): Promise<boolean> {
  const { forecast, days } = await forecastOf(db, recentAccountOf(candidate), clock);
  const { account_id, master_id, day, days_before } = candidate;
  return db.transaction().execute(async (trx) => {
    await sql`update usage_mark set foreseen_day = ${day}::date where account_id = ${account_id}`.execute(trx);
    if (!isWithin(forecast, days.today.date, days_before)) return false;
    const { used, base, period } = forecast;
    const { numAffectedRows } = await sql`
      insert into alert (account_id, period_start, master_id, used, base, reason, created_at, data)
      values (${account_id}, ${period.start}, ${master_id}, ${used}, ${base}, 'forecast', pm_now(),
              ${JSON.stringify(toldOf(forecast))}::jsonb)
      on conflict do nothing`.execute(trx);
    return (numAffectedRows ?? 0n) > 0n;
  });
}

function isWithin({ state, reaches }: Forecast, today: string, days: number): boolean {
  if (state !== "expected" || reaches.expected === null) return false;
  return Date.parse(reaches.expected) - Date.parse(today) <= days * DAY_MS;
}

/** As events and alerts show it. */
function toldOf({ reaches, atEnd }: Forecast): Record<string, unknown> {
  return { ...reaches, at_end: atEnd };
}
