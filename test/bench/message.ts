/** Messages of an exact size, alike but for the mark: the bytes after DATA, dot-stuffed, with the final dot. */
import { findDigits, formatBenchId, sequenceDigits } from "./bench-id.ts";

export type Template = Readonly<{
  /**
   * The message with its final CRLF.CRLF: one piece; of a large one a second, which all messages of that size share.
   * Reused for the next message once this one has its answer.
   */
  pieces: readonly Buffer[];
  stamp(sequence: number): void;
}>;

/** `sizeBytes` counts headers and body as a relay stores them, without the final dot. One run per template. */
export function createTemplate(run: number, sizeBytes: number): Template {
  const head = [
    "From: Bench <app@bench.example>",
    "To: Reader <reader@dest.example>",
    "Subject: A message of the bench",
    "Date: Sun, 01 Nov 2026 12:00:00 +0000",
    "Message-ID: <000000000000@bench.example>",
    `X-Bench-Id: ${formatBenchId({ run, sequence: 0 })}`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "",
    "",
  ].join("\r\n");
  const header = Buffer.from(head, "latin1");
  const body = fillerOf(sizeBytes - head.length);
  const first = sizeBytes > sharedFromBytes ? header : Buffer.concat([header, body]);
  const inHeader = findDigits(first) + 4;
  const inMessageId = first.indexOf("Message-ID: <") + "Message-ID: <".length + 4;
  first.write(formatBenchId({ run, sequence: 0 }), inMessageId - 4, "latin1");
  return {
    pieces: first === header ? [first, body] : [first],
    stamp(sequence) {
      const digits = String(sequence).padStart(sequenceDigits, "0");
      first.write(digits, inHeader, "latin1");
      first.write(digits, inMessageId, "latin1");
    },
  };
}

/** Two hundred sessions with a body of 10 MB each would need 2 GB; small messages go out in one write. */
const sharedFromBytes = 2 ** 20;
let lastFiller = Buffer.alloc(0);

function fillerOf(length: number): Buffer {
  const bytes = length + ".\r\n".length;
  if (lastFiller.length !== bytes) lastFiller = Buffer.from(`${filler(length)}.\r\n`, "latin1");
  return lastFiller;
}

/** Lines of 76 characters, none of which starts with a dot, `length` bytes in all with their CRLFs. */
function filler(length: number): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const line = (n: number, width: number) =>
    Array.from({ length: width }, (_, i) => alphabet[(n * 31 + i * 7) % alphabet.length]).join("");
  const block = Array.from({ length: alphabet.length }, (_, n) => `${line(n, 76)}\r\n`).join("");
  const lines = Math.max(Math.floor((length - 3) / 78), 0);
  const text = block.repeat(Math.ceil(lines / alphabet.length)).slice(0, lines * 78);
  return `${text}${line(1, Math.max(length - text.length - 2, 0))}\r\n`;
}
