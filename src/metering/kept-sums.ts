/**
 * The ledger's sums where days are kept summed (metering/sum-days.ts): what is kept, and the spans left to be read from
 * the entries. Of an archived day (metering/archive.ts) there are no entries to be read: what is kept stands for them.
 *
 * Invariant: the sums are those of the entries. Which days are summed and what they hold is read in one snapshot, and an
 * entry that comes late takes its day out of them as it is committed; so each entry is counted once, in one of both.
 */
import { type RawBuilder, sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import { dateAt } from "./dates.ts";
import { addSums, EMPTY_SUM, type LedgerSum, spanOf, sumLedger } from "./ledger.ts";
import type { Period } from "./period.ts";
import { DAY_MS, type Span } from "./slices.ts";

type Account = Readonly<{ masterId: MasterId; period: Period }>;

/** The sums of each subaccount that has an entry in the master's period. */
export async function sumPeriod(db: Db, { masterId, period }: Account): Promise<Map<SubaccountId, LedgerSum>> {
  const kept = await readKept(db, { masterId, period });
  const sums = await sumLedger(db, { masterId, period, spans: spansWithout(spanOf(period), kept.days) });
  for (const { id, ...sum } of kept.sums) sums.set(id, addSums(sums.get(id) ?? EMPTY_SUM, sum));
  return sums;
}

type Kept = Readonly<{ days: string[]; sums: (LedgerSum & { id: SubaccountId })[] }>;

async function readKept(db: Db, { masterId, period }: Account): Promise<Kept> {
  const which = ofPeriod({ masterId, period });
  const { rows } = await sql<LedgerSum & { id: SubaccountId | null; day: string }>`
    with summed as materialized (${summedDays(period)})
    select null::uuid as id, entry_day::text as day, 0 as messages, 0 as units, 0 as corrections from summed
    union all
    select d.subaccount_id, null, sum(d.messages)::bigint, sum(d.units)::bigint, sum(d.corrections)::bigint
      from summed cross join ${keptOf(which)} d group by d.subaccount_id`.execute(db);
  const days: string[] = [];
  const sums: Kept["sums"] = [];
  for (const { id, day, messages, units, corrections } of rows) {
    if (id === null) days.push(day);
    else sums.push({ id, messages, units, corrections });
  }
  return { days, sums };
}

/**
 * The sums of each subaccount over the archived days of the period, whose entries lie in files: with those of the entries that are
 * left (ledger.ts) they are the whole. `ledger verify` proves them from the files.
 */
export async function sumArchived(db: Db, { masterId, period }: Account): Promise<Map<SubaccountId, LedgerSum>> {
  const { rows } = await sql<LedgerSum & { id: SubaccountId }>`
    with summed as materialized (${archivedDays(daysAround(period))})
    select d.subaccount_id as id, sum(d.messages)::bigint as messages, sum(d.units)::bigint as units, sum(d.corrections)::bigint as corrections
      from summed cross join ${keptOf(ofPeriod({ masterId, period }))} d group by 1`.execute(db);
  return new Map(rows.map(({ id, ...sum }) => [id, sum]));
}

/** A kept sum of the entries whose ids are of `span`; null: the account has none on that day. */
export type KeptPart = LedgerSum & Readonly<{ day: string; span: Span | null; archived: boolean }>;

/** What is kept of one subaccount, or with null of all of the master's together, with every summed day. */
export async function readKeptParts(
  db: Db,
  { id, masterId, period }: Account & Readonly<{ id: SubaccountId | null }>,
): Promise<KeptPart[]> {
  const which = sql`${ofPeriod({ masterId, period })} and ${ofAccount(id)}`;
  const { rows } = await sql<LedgerSum & { day: string; archived: boolean; since: Date | null; until: Date }>`
    with summed as materialized (${summedDays(period)})
    select summed.entry_day::text as day, summed.archived, d.since, d.until, coalesce(sum(d.messages), 0)::bigint as messages,
           coalesce(sum(d.units), 0)::bigint as units, coalesce(sum(d.corrections), 0)::bigint as corrections
      from summed left join ${keptOf(which)} d on true
     group by summed.entry_day, summed.archived, d.since, d.until`.execute(db);
  return rows.map(({ since, until, ...row }) => ({
    ...row,
    span: since === null ? null : { fromMs: since.getTime(), toMs: until.getTime() },
  }));
}

/** A condition on subaccount_id: one, or with null any. */
export function ofAccount(id: SubaccountId | null): RawBuilder<unknown> {
  return id === null ? sql`true` : sql`subaccount_id = ${id}`;
}

const ofPeriod = ({ masterId, period }: Account) => sql`master_id = ${masterId} and period_start = ${period.start}`;

/**
 * Of those that lie wholly within the span of the period's ids; what sticks out at its ends is little. Archived days count where they
 * stick out, too: they have no entries that could be read instead.
 */
function summedDays(period: Period): RawBuilder<{ entry_day: string; archived: boolean }> {
  const { fromMs, toMs } = spanOf(period);
  const first = dateAt(Math.ceil(fromMs / DAY_MS) * DAY_MS);
  const end = dateAt(Math.floor(toMs / DAY_MS) * DAY_MS);
  return sql`
    select s.entry_day, a.entry_day is not null as archived from summed_day s
      full join (${archivedDays(daysAround(period))}) a on a.entry_day = s.entry_day
     where a.entry_day is not null or (s.entry_day >= ${first}::date and s.entry_day < ${end}::date)`;
}

/** The days on which entries of the period may lie. */
export function daysAround(period: Period): { first: string; end: string } {
  const { fromMs, toMs } = spanOf(period);
  return { first: dateAt(fromMs), end: dateAt(Math.ceil(toMs / DAY_MS) * DAY_MS) };
}

function archivedDays({ first, end }: { first: string; end: string }): RawBuilder<{ entry_day: string }> {
  return sql`select entry_day from archived_days(${first}::date, ${end}::date)`;
}

/** Rows of usage_day for each day of `summed`, looked up by the whole front of the key whatever the statistics say. */
function keptOf(which: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`lateral (select * from usage_day where entry_day = summed.entry_day and ${which} offset 0)`;
}

/** What is left of a span without these days (`2026-11-01`). */
export function spansWithout(span: Span, days: Iterable<string>): Span[] {
  const spans: Span[] = [];
  let { fromMs } = span;
  for (const day of [...days].sort()) {
    const startMs = Date.parse(`${day}T00:00:00Z`);
    if (startMs > fromMs) spans.push({ fromMs, toMs: startMs });
    fromMs = startMs + DAY_MS;
  }
  if (fromMs < span.toMs) spans.push({ fromMs, toMs: span.toMs });
  return spans;
}
