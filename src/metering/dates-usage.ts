/**
 * Units per subaccount and date of a master's period, as they are now: for invoices of a day, and for who builds his own reports. What is
 * final, row by row, is the export's (export.ts).
 *
 * Invariant: rows over a period sum to its statement, or to what its statement would say now.
 */
import { sql } from "kysely";
import { findMaster } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import { dateAt, datesOf } from "./dates.ts";
import { findPeriod } from "./find-period.ts";
import { spansWithout } from "./kept-sums.ts";
import { addSums, EMPTY_SUM, type LedgerSum, spanOf, sumLedger } from "./ledger.ts";
import { type Period, periodDate } from "./period.ts";
import type { Span } from "./slices.ts";

export type DateUsage = LedgerSum &
  Readonly<{
    /** A day of the master's time zone, `2026-11-01`. */
    date: string;
    /** Its period's first. */
    period: string;
    subaccountId: SubaccountId;
    name: string;
    externalId: string | null;
  }>;

/** Where a row stands. It names its period, so that a list that was begun in the running one stays in it. */
export type DatePosition = readonly [period: string, date: string, subaccount: string];

export type DateUsageFilter = Readonly<{
  masterId?: MasterId | undefined; // the operator's choice
  period?: string | undefined; // its first date; the running one by default
  after?: DatePosition | undefined;
  limit: number;
}>;

/**
 * By date, then subaccount; those that used nothing are left out. `limit + 1` rows: the last tells that there is more.
 * @throws Fault not-found, invalid at `/period`
 */
export async function listDateUsage(
  db: Db,
  principal: Principal,
  filter: DateUsageFilter,
  clock: Clock,
): Promise<DateUsage[]> {
  const { id: masterId, calendar } = await findMaster(db, principal, filter.masterId, clock);
  const [afterPeriod, afterDate = "", afterSubaccount = ""] = filter.after ?? [];
  const period = await findPeriod(db, { masterId, calendar }, filter.period ?? afterPeriod, clock);
  const first = periodDate(calendar, period);
  const span = spanOf(period);
  const dates = datesOf(calendar, period, clock.now());
  const rows: DateUsage[] = [];
  for (const [i, { date, startMs }] of dates.entries()) {
    if (date < afterDate) continue;
    // What lies before the first date or after the last, by clocks that are apart, is theirs.
    const fromMs = i === 0 ? span.fromMs : startMs;
    const toMs = dates[i + 1]?.startMs ?? span.toMs;
    const sums = await sumDate(db, { masterId, period }, { fromMs, toMs, first: i === 0 });
    const ids = [...sums.keys()].sort().filter((id) => date > afterDate || id > afterSubaccount);
    const wanted = ids.slice(0, filter.limit + 1 - rows.length);
    const known = await readNames(db, wanted);
    for (const subaccountId of wanted) {
      rows.push({ date, period: first, subaccountId, ...known.get(subaccountId)!, ...sums.get(subaccountId)! });
    }
    if (rows.length > filter.limit) break;
  }
  return rows;
}

type Names = Pick<DateUsage, "name" | "externalId">;

async function readNames(db: Db, ids: readonly SubaccountId[]): Promise<Map<SubaccountId, Names>> {
  if (ids.length === 0) return new Map();
  const rows = await db.selectFrom("subaccount").select(["id", "name", "external_id"]).where("id", "in", ids).execute();
  return new Map(rows.map((row) => [row.id, { name: row.name, externalId: row.external_id }]));
}

type Account = Readonly<{ masterId: MasterId; period: Period }>;
type Part = LedgerSum & Readonly<{ id: SubaccountId; day: string; since: Date; until: Date }>;

/** Of entries whose ids were made within: from the kept sums of its days of UTC, and from the entries of the others. */
async function sumDate(
  db: Db,
  { masterId, period }: Account,
  { first, ...span }: Span & Readonly<{ first: boolean }>,
): Promise<Map<SubaccountId, LedgerSum>> {
  const { rows } = await sql<{ day: string; archived: boolean; parts: Part[] }>`
    select s.entry_day::text as day,
           exists (select from archived_days(s.entry_day, s.entry_day + 1)) as archived,
           coalesce((select json_agg(json_build_object('id', subaccount_id, 'since', since, 'until', until, 'messages', messages,
                                                       'units', units, 'corrections', corrections))
                       from usage_day u where u.entry_day = s.entry_day and u.master_id = ${masterId} and u.period_start = ${period.start}
                        and u.since < ${new Date(span.toMs)} and u.until > ${new Date(span.fromMs)}), '[]') as parts
      from summed_day s
     where s.entry_day >= ${dateAt(span.fromMs)}::date and s.entry_day <= ${dateAt(span.toMs - 1)}::date`.execute(db);
  // A day whose parts were cut in another zone is read from its entries; where those are archived, a part counts where it begins.
  const whole = rows.filter(({ archived, parts }) => archived || parts.every((part) => within(part, span)));
  const left = spansWithout(span, new Set(whole.map(({ day }) => day)));
  const sums = await sumLedger(db, { masterId, period, spans: left });
  for (const { id, messages, units, corrections } of whole.flatMap(({ parts }) => parts.filter(begins))) {
    sums.set(id, addSums(sums.get(id) ?? EMPTY_SUM, { messages, units, corrections }));
  }
  for (const [id, sum] of sums) if (sum.messages === 0 && sum.corrections === 0) sums.delete(id);
  return sums;

  function begins({ since }: Part): boolean {
    return first || new Date(since).getTime() >= span.fromMs;
  }
}

function within({ since, until }: Pick<Part, "since" | "until">, { fromMs, toMs }: Span): boolean {
  return new Date(since).getTime() >= fromMs && new Date(until).getTime() <= toMs;
}
