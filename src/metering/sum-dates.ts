/** A period date by date: from the kept sums of its days, and from the entries where none are kept. */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { MasterId, SubaccountId } from "../platform/ids.ts";
import { dateIndex, type LocalDate } from "./dates.ts";
import { type KeptPart, ofAccount, readKeptParts, spansWithout } from "./kept-sums.ts";
import { addSums, countedUnits, EMPTY_SUM, idAt, type LedgerSum, spanOf, sumsOf } from "./ledger.ts";
import type { Period } from "./period.ts";
import { eachSlice, type Span, widthFor } from "./slices.ts";

/** Of one subaccount; `id` null: of all of its master's together. */
export type SummedAccount = Readonly<{ id: SubaccountId | null; masterId: MasterId; period: Period }>;

/** By index of the date. */
type Sums = Map<number, LedgerSum>;

export async function sumDates(db: Db, asked: SummedAccount, dates: readonly LocalDate[]): Promise<Sums> {
  const { period, id, masterId } = asked;
  const sums: Sums = new Map();
  const add = (i: number, sum: LedgerSum) => sums.set(i, addSums(sums.get(i) ?? EMPTY_SUM, sum));
  const kept = usable(await readKeptParts(db, asked), dates);
  for (const { span, messages, units, corrections } of kept) {
    if (span !== null) add(dateIndex(dates, span.fromMs), { messages, units, corrections });
  }
  const span = spanOf(period);
  const left = spansWithout(span, new Set(kept.map(({ day }) => day)));
  await eachSlice(left, { widthMs: widthFor(span, await countedUnits(db, id ?? masterId, period)) }, async (slice) => {
    const rows = await readSlice(db, asked, dates, slice);
    for (const { n, messages, units, corrections } of rows) add(Math.max(n - 1, 0), { messages, units, corrections });
    return rows.reduce((sum, row) => sum + row.entries, 0);
  });
  return sums;
}

/**
 * The days whose parts lie each within one date. Others are read from their entries: the zone, or what is known of it, was
 * another one when they were summed. Not those of an archived day: such a part counts on the date on which it begins.
 */
function usable(parts: readonly KeptPart[], dates: readonly LocalDate[]): KeptPart[] {
  const torn = new Set(
    parts
      .filter(
        ({ span, archived }) =>
          !archived && span !== null && dateIndex(dates, span.fromMs) !== dateIndex(dates, span.toMs - 1),
      )
      .map(({ day }) => day),
  );
  return parts.filter(({ day }) => !torn.has(day));
}

type SliceRow = LedgerSum & Readonly<{ n: number; entries: number }>;

/** `n`: how many dates begin up to there. */
async function readSlice(
  db: Db,
  { id, masterId, period }: SummedAccount,
  dates: readonly LocalDate[],
  { fromMs, toMs }: Span,
): Promise<SliceRow[]> {
  const { rows } = await sql<SliceRow>`
    select width_bucket(id, ${dates.map(({ startMs }) => idAt(startMs))}::uuid[]) as n, count(*) as entries, ${sumsOf}
      from usage_entry
     where master_id = ${masterId} and period_start = ${period.start} and ${ofAccount(id)}
       and id >= ${idAt(fromMs)}::uuid and id < ${idAt(toMs)}::uuid
     group by 1`.execute(db);
  return rows;
}
