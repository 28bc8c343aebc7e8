/** Messages of an exact size, alike but for the mark: the bytes after DATA, dot-stuffed, with the final dot. */
import { findDigits, formatBenchId, sequenceDigits } from "./bench-id.ts";

export type Template = Readonly<{
  /** The message with its final CRLF.CRLF. Reused for the next message once this one has its answer. */
  bytes: Buffer;
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
  const message = head + filler(sizeBytes - head.length);
  const bytes = Buffer.from(`${message}.\r\n`, "latin1");
  const inHeader = findDigits(bytes) + 4;
  const inMessageId = bytes.indexOf("Message-ID: <") + "Message-ID: <".length + 4;
  bytes.write(formatBenchId({ run, sequence: 0 }), inMessageId - 4, "latin1");
  return {
    bytes,
    stamp(sequence) {
      const digits = String(sequence).padStart(sequenceDigits, "0");
      bytes.write(digits, inHeader, "latin1");
      bytes.write(digits, inMessageId, "latin1");
    },
  };
}

/** Lines of 76 characters, none of which starts with a dot, `length` bytes in all with their CRLFs. */
function filler(length: number): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const line = (n: number, width: number) =>
    Array.from({ length: width }, (_, i) => alphabet[(n * 31 + i * 7) % alphabet.length]).join("");
  let text = "";
  for (let n = 0; length - text.length >= 78 + 3; n++) text += `${line(n, 76)}\r\n`;
  return `${text}${line(1, Math.max(length - text.length - 2, 0))}\r\n`;
}
