/**
 * Reads spans of the ledger slice by slice: no statement holds a snapshot for longer than about a million entries take
 * (half a second), since an old snapshot slows acceptance down for everybody.
 *
 * Invariant: the slices tile the spans; their width changes no sum.
 */

/** Half-open `[fromMs, toMs)`, of the instants in the ids; ms since 1970. */
export type Span = Readonly<{ fromMs: number; toMs: number }>;

export const DAY_MS = 86_400_000;
const SLICE_ENTRIES = 1_000_000;

export type Slicing = Readonly<{
  /** Of the first slice; the next ones follow what the last one held. */
  widthMs: number;
  /** About so many in one slice. */
  sliceEntries?: number | undefined;
}>;

/** `read` gives back how many entries it has read. */
export async function eachSlice(
  spans: readonly Span[],
  { widthMs, sliceEntries = SLICE_ENTRIES }: Slicing,
  read: (slice: Span) => Promise<number>,
): Promise<void> {
  let width = widthMs;
  for (const span of spans) {
    for (let { fromMs } = span; fromMs < span.toMs; ) {
      const toMs = Math.min(fromMs + Math.max(Math.ceil(width), 1), span.toMs);
      const entries = await read({ fromMs, toMs });
      if (entries > sliceEntries * 2) width /= 2;
      if (entries < sliceEntries / 2) width *= 2;
      fromMs = toMs;
    }
  }
}

/** The width for entries that are spread evenly over `span`. */
export function widthFor(span: Span, entries: number, sliceEntries = SLICE_ENTRIES): number {
  return (span.toMs - span.fromMs) * Math.min(1, sliceEntries / Math.max(entries, 1));
}
