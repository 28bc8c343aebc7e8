/** Percentiles and medians. */

/** The levels of a curve, in per cent: each whole one, and each tenth of the last. */
export const levels: readonly number[] = [
  ...Array(100).keys(),
  ...Array.from({ length: 10 }, (_, n) => (991 + n) / 10),
];

export type Latency = Readonly<{ p50: number; p99: number; curve: readonly number[] }>; // ms; curve by `levels`

/** Nearest rank; NaN of nothing. `sorted` ascending. */
export function percentile(sorted: ArrayLike<number>, level: number): number {
  const rank = Math.max(Math.ceil((level / 100) * sorted.length - 1e-9), 1);
  return sorted[rank - 1] ?? Number.NaN;
}

export function latencyOf(parts: readonly Float32Array[]): Latency {
  const sorted = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    sorted.set(part, at);
    at += part.length;
  }
  sorted.sort();
  const curve = levels.map((level) => percentile(sorted, level));
  return { p50: percentile(sorted, 50), p99: percentile(sorted, 99), curve };
}

/** The middle value; the mean of the two in the middle. NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
