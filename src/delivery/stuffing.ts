/**
 * A message as DATA wants it (RFC 5321 4.5.2): dots at the start of a line doubled, CRLF before the final dot. Pure.
 * The message itself has CRLF line endings only (mail/line-endings); a dot after a bare LF is doubled all the same, so that
 * nothing in a message can end it early.
 */
const LF = 0x0a;
const DOT = 0x2e;
const DOT_AFTER_LF = "\n.";
const dot = Buffer.from(".");

export type Stuffing = Readonly<{
  /** The pieces to write for a part of the message, in order. */
  add(part: Uint8Array): readonly Uint8Array[];
  /** What ends the message. */
  end(): string;
}>;

export function createStuffing(): Stuffing {
  let last = LF; // the start of the message is the start of a line
  return {
    add(part) {
      if (part.length === 0) return [];
      const pieces = stuff(part, last);
      last = part[part.length - 1] as number;
      return pieces;
    },
    end: () => (last === LF ? ".\r\n" : "\r\n.\r\n"),
  };
}

function stuff(part: Uint8Array, before: number): readonly Uint8Array[] {
  const bytes = Buffer.from(part.buffer, part.byteOffset, part.byteLength);
  let found = bytes.indexOf(DOT_AFTER_LF, 0, "latin1");
  const leading = before === LF && bytes[0] === DOT;
  if (found === -1) return leading ? [dot, bytes] : [bytes];
  const pieces: Uint8Array[] = leading ? [dot] : [];
  let from = 0;
  while (found !== -1) {
    pieces.push(bytes.subarray(from, found + 1), dot);
    from = found + 1;
    found = bytes.indexOf(DOT_AFTER_LF, from, "latin1");
  }
  pieces.push(bytes.subarray(from));
  return pieces;
}
