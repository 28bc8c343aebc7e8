/**
 * The header section of a message (RFC 5322 2.2), scanned without a MIME parser. Offsets are those of the bytes: the
 * text is the section read as latin1, with CRLF line ends.
 */

/** `name` is in lower case; `value` is the offset after the colon; `end` is the offset after the last CRLF. */
export type Field = Readonly<{ name: string; start: number; value: number; end: number }>;

/** `end`: where the fields end, either the end of the text or a line that is no field. */
export type Fields = Readonly<{ fields: readonly Field[]; end: number }>;

const NAME = /([!-9;-~]+)[ \t]*:/y;
const NON_ASCII = /[\x80-\xff]/;

/** @param text latin1; every line ends in CRLF. */
export function scanFields(text: string): Fields {
  const fields: Field[] = [];
  let at = 0;
  while (at < text.length) {
    NAME.lastIndex = at;
    const match = NAME.exec(text);
    if (match === null) break;
    let end = lineEnd(text, at);
    while (text[end] === " " || text[end] === "\t") end = lineEnd(text, end);
    fields.push({ name: (match[1] as string).toLowerCase(), start: at, value: NAME.lastIndex, end });
    at = end;
  }
  return { fields, end: at };
}

function lineEnd(text: string, from: number): number {
  const at = text.indexOf("\r\n", from);
  return at < 0 ? text.length : at + 2;
}

/** The value unfolded and trimmed; its bytes read as UTF-8, as RFC 6532 has it. */
export function fieldValue(text: string, field: Field): string {
  const raw = text.slice(field.value, field.end).replaceAll("\r\n", "").trim();
  return NON_ASCII.test(raw) ? Buffer.from(raw, "latin1").toString("utf8") : raw;
}
