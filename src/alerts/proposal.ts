/** What limit to propose: the next round number above what is expected. Pure. */

export type Situation = Readonly<{
  limit: number;
  topUp: number;
  used: number;
  /** Units expected by the period's end; null: unknown. */
  expected: number | null;
  /** Above it no limit may go; null: no such bound. */
  most: number | null;
}>;

const LEAST_RAISE_PERCENT = 120;

/** Always above the limit, but where `most` leaves no room: then null. */
export function proposeLimit({ limit, topUp, used, expected, most }: Situation): number | null {
  const needed = Math.max(expected ?? 0, used) - topUp;
  const round = roundUp(needed > limit ? needed : (limit * LEAST_RAISE_PERCENT) / 100);
  const proposed = Math.max(round, limit + 1);
  if (most === null || proposed <= most) return proposed;
  return most > limit ? most : null;
}

/** To two digits: 12,431 is 13,000. */
export function roundUp(units: number): number {
  const step = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, units))) - 1);
  return Math.ceil(units / step) * step;
}
