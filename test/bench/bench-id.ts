/**
 * The mark that a message of the bench carries, so that the sink can tell which ones came through, and how often.
 *
 * `X-Bench-Id: RRRRSSSSSSSS`: run and sequence number, decimal, zero-padded. The sink finds it by its bytes, whatever
 * headers a relay has put in front.
 */

export const marker = Buffer.from("X-Bench-Id: ", "latin1");
export const runDigits = 4;
export const sequenceDigits = 8;

export type BenchId = Readonly<{ run: number; sequence: number }>;

export function formatBenchId({ run, sequence }: BenchId): string {
  return String(run).padStart(runDigits, "0") + String(sequence).padStart(sequenceDigits, "0");
}

/** Where the digits start in `bytes`; -1 while the mark, or a part of its digits, has not arrived. */
export function findDigits(bytes: Buffer): number {
  const at = bytes.indexOf(marker);
  if (at < 0) return -1;
  const digits = at + marker.length;
  return bytes.length >= digits + runDigits + sequenceDigits ? digits : -1;
}

export function readBenchId(bytes: Buffer, digits: number): BenchId {
  const text = bytes.toString("latin1", digits, digits + runDigits + sequenceDigits);
  return { run: Number(text.slice(0, runDigits)), sequence: Number(text.slice(runDigits)) };
}
