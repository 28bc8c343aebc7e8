/**
 * What ruled when, from the rows that were written as it came to rule (migrations/0044).
 *
 * Invariant: pure; the segments of an account are in order, don't overlap, and neighbours differ. Of two rows the one that was
 * written later rules from its own instant on; what "default" says in an account's rows are its master's default terms of that time.
 */
import type { TermsColumn } from "../platform/schema-prices.ts";
import type { Segment } from "./fees.ts";
import type { PriceTerms } from "./terms.ts";

/** In the order in which they were written. `of`: TypeID. */
export type TermRow = Readonly<{
  since: Date;
  source: "card" | "plan" | "default" | "none";
  of: string | null;
  n: number | null;
  discountBp: number;
  terms: PriceTerms | null;
}>;

/** In force in `[from, until)`; null: to the end, as far as is known. */
export type Ruled = TermRow & Readonly<{ until: Date | null }>;

/** Without those that were overtaken before they began. */
export function inForce(written: readonly TermRow[]): Ruled[] {
  const kept: TermRow[] = [];
  for (const row of written) {
    while (kept.length > 0 && kept.at(-1)!.since >= row.since) kept.pop();
    kept.push(row);
  }
  return kept.map((row, i) => ({ ...row, until: kept[i + 1]?.since ?? null }));
}

/** What a subaccount has that nothing was written of: its master's default. */
export function asDefault(since: Date): TermRow {
  return { since, source: "default", of: null, n: null, discountBp: 0, terms: null };
}

/**
 * @param bornAt of a subaccount: what is written of it begins with the default; null: a master, of which nothing rules before the first row.
 * @param defaults of its master
 */
export function segmentsOf(
  written: readonly TermRow[],
  bornAt: Date | null,
  defaults: readonly TermRow[] = [],
): Segment[] {
  const rows = bornAt === null ? written : [asDefault(wholeSecond(bornAt)), ...written];
  const standing = inForce(defaults);
  const found = inForce(rows).flatMap((row) => (row.source === "default" ? underDefault(row, standing) : priced(row)));
  return found.reduce<Segment[]>(joined, []);
}

function underDefault(row: Ruled, standing: readonly Ruled[]): Segment[] {
  return standing.flatMap((one) => {
    const since = one.since > row.since ? one.since : row.since;
    const until = earlier(one.until, row.until);
    if (until !== null && since >= until) return [];
    return priced({ ...one, since, until, discountBp: row.discountBp }).map((segment) => ({
      ...segment,
      source: "default" as const,
    }));
  });
}

function priced({ since, until, source, of, n, discountBp, terms }: Ruled): Segment[] {
  if (terms === null || of === null || n === null || source === "none" || source === "default") return [];
  return [{ from: since, until, source, of, n, discountBp, terms }];
}

/** The same terms go on, so that a year that has begun does too. */
function joined(before: Segment[], next: Segment): Segment[] {
  const last = before.at(-1);
  if (last?.until?.getTime() !== next.from.getTime() || !isSame(last, next)) return [...before, next];
  return [...before.slice(0, -1), { ...last, until: next.until }];
}

function isSame(one: Segment, other: Segment): boolean {
  const of = ({ source, of: id, n, discountBp }: Segment) => JSON.stringify([source, id, n, discountBp]);
  return of(one) === of(other);
}

function earlier(one: Date | null, other: Date | null): Date | null {
  if (one === null || other === null) return one ?? other;
  return one < other ? one : other;
}

export function wholeSecond(at: Date): Date {
  return new Date(Math.floor(at.getTime() / 1000) * 1000);
}

/** As jsonb holds them. */
export function termsOfColumn(column: TermsColumn): PriceTerms {
  return {
    currency: column.currency,
    priceMinor: column.price_minor,
    cycle: column.cycle,
    includedUnits: column.included_units,
    overagePer1000: column.overage_per_1000,
    ceilingMinor: column.ceiling_minor,
  };
}
