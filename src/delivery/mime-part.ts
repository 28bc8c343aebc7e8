/** Body parts of a report (RFC 2045), and what their fields may hold. Pure. */

export const MAX_LINE = 998;
const SOFT_LINE = 76;

/** `encode`: 7-bit in any case, as quoted-printable where needed; only for text. */
export function mimePart(type: string, content: Buffer, how: "encode" | "as it is"): Buffer {
  const plain = !isEightBit(content) && !hasLongLine(content);
  const encoding = plain ? "7bit" : how === "encode" ? "quoted-printable" : "8bit";
  const body = encoding === "quoted-printable" ? Buffer.from(quotedPrintable(content)) : content;
  return Buffer.concat([Buffer.from(`Content-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n`), body]);
}

export function isEightBit(bytes: Buffer): boolean {
  return bytes.some((byte) => byte > 127);
}

function hasLongLine(bytes: Buffer): boolean {
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf("\r\n", from);
    const line = (end === -1 ? bytes.length : end) - from;
    if (line > MAX_LINE) return true;
    from += line + 2;
  }
  return false;
}

/** RFC 2045 6.7; lines end in CRLF before and after. */
function quotedPrintable(bytes: Buffer): string {
  return bytes.toString("latin1").split("\r\n").map(encodeLine).join("\r\n");
}

function encodeLine(line: string): string {
  const units = line.match(/[^!-<>-~ \t]|=|[!-<>-~ \t]/g) ?? [];
  let out = "";
  let width = 0;
  for (const [i, unit] of units.entries()) {
    const last = i === units.length - 1;
    const keep = /[!-<>-~]/.test(unit) || (/[ \t]/.test(unit) && !last);
    const text = keep ? unit : `=${unit.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
    if (width + text.length > SOFT_LINE - 1) {
      out += "=\r\n";
      width = 0;
    }
    out += text;
    width += text.length;
  }
  return out;
}

/** A header field over lines of 76 characters where it has blanks (RFC 5322 2.2.3). */
export function fold(field: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of field.split(" ")) {
    if (line !== "" && line.length + word.length >= SOFT_LINE) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\r\n ");
}

export function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ").trim();
}

export function ascii(text: string): string {
  return oneLine(text).replace(/[^ -~]/gu, "?");
}

/** RFC 6533 3: a UTF-8 address where only ASCII may stand. */
export function asciiAddress(address: string): string {
  return address.replace(/[^!-~]/gu, (char) => `\\x{${(char.codePointAt(0) ?? 0).toString(16).toUpperCase()}}`);
}
