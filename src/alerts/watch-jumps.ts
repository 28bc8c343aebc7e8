/**
 * Days that bring far more than is usual on them: a letter to everybody, or somebody else with the password.
 *
 * Usual is what the forecast expects of that weekday, at least a fifth of an average day, so that an account that rests at
 * weekends may send a little on one. An account that has begun within the last week has no usual day yet; one that is old
 * and has never sent in four weeks has one of nothing.
 */
import { sql } from "kysely";
import { HISTORY_DAYS, usualDay } from "../metering/forecast.ts";
import { type RecentDays, readRecentDays } from "../metering/recent-days.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { type Candidate, eachCandidate, type Patience, recentAccountOf } from "./candidate.ts";
import { defaultRules } from "./rule.ts";

const QUIET_SHARE = 5;
const LEAST_DAYS = 7;
const MOST_AT_ONCE = 5_000; // the others in the next run

type JumpCandidate = Candidate & Readonly<{ factor: number; minimum: number }>;

/** Returns how many jumps were found. */
export async function findJumps(db: Db, clock: Clock, patience: Patience): Promise<number> {
  return eachCandidate(await readCandidates(db), patience, (candidate) => look(db, candidate, clock));
}

/** Subaccounts whose day, as far as the marks know, is large enough for their rule, and of which nothing is told yet. */
async function readCandidates(db: Db): Promise<JumpCandidate[]> {
  const { factor, minimum } = defaultRules.jump;
  const { rows } = await sql<JumpCandidate>`
    select k.account_id, k.master_id, k.day::text as day, s.created_at, r.factor, r.minimum,
           m.anchor_day, m.time_zone, m.next_anchor_day, m.next_time_zone, m.calendar_changes_at
      from usage_mark k
      join subaccount s on s.id = k.account_id
      join master m on m.id = s.master_id
      left join alert_rule own on coalesce(own.subaccount_id, own.master_id) = k.account_id and own.kind = 'jump'
      left join alert_rule every on coalesce(every.subaccount_id, every.master_id) = m.id and every.kind = 'jump',
           lateral (select coalesce(own.enabled, every.enabled, true) as enabled,
                           coalesce(own.factor, every.factor, ${factor}::numeric) as factor,
                           coalesce(own.minimum, every.minimum, ${minimum}::bigint) as minimum) r
     where k.jump_day is distinct from k.day and r.enabled and k.used - k.day_used >= r.minimum
       and (k.usual is null or k.used - k.day_used >= k.usual * r.factor)
     order by k.used - k.day_used desc limit ${MOST_AT_ONCE}`.execute(db);
  return rows;
}

async function look(db: Db, candidate: JumpCandidate, clock: Clock): Promise<boolean> {
  const days = await readRecentDays(db, recentAccountOf(candidate), clock.now());
  const usual = usualOf(days);
  const { units } = days.today;
  const jumped = usual !== null && units >= candidate.minimum && units >= usual * Number(candidate.factor);
  const over = usual === null || jumped || days.today.date !== candidate.day;
  return db.transaction().execute(async (trx) => {
    await sql`
      update usage_mark set usual = ${usual}, day_used = greatest(day_used, used - ${units}),
             jump_day = case when ${over} then day else jump_day end
       where account_id = ${candidate.account_id} and day = ${candidate.day}::date`.execute(trx);
    return jumped && (await insertJump(trx, candidate, { ...days.today, usual }, days.period.start));
  });
}

/** What a day like today brings; null: nothing can be said of it yet. */
export function usualOf({ history, today }: Pick<RecentDays, "history" | "today">): number | null {
  const usual = usualDay(history, today.date);
  if (usual === undefined) return null;
  const dormant = usual.days === 0 && history.length >= HISTORY_DAYS;
  if (usual.days < LEAST_DAYS && !dormant) return null;
  return Math.round(Math.max(usual.of, usual.average / QUIET_SHARE));
}

type Jump = Readonly<{ date: string; units: number; usual: number }>;

/** False: it is told already. */
async function insertJump(trx: Db, { account_id, master_id }: Candidate, jump: Jump, start: Date): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into alert (account_id, period_start, master_id, used, base, reason, created_at, data)
    select u.account_id, u.period_start, ${master_id}, u.used, u.base, 'jump', pm_now(), ${JSON.stringify(jump)}::jsonb
      from usage u where u.account_id = ${account_id} and u.period_start = ${start}
    on conflict do nothing`.execute(trx);
  return (numAffectedRows ?? 0n) > 0n;
}
