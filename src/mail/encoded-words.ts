/** Header text for people to read (RFC 2047), e.g. the subject in a list of messages. Never used to decide anything. */

const WORDS = /=\?([A-Za-z0-9_-]+)(?:\*[A-Za-z0-9-]+)?\?([BbQq])\?([^? ]*)\?=(?:\s+(?==\?))?/g;
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]+/gu;

/** At most `length` characters; control characters become spaces; words in a charset that is not known stay as they are. */
export function decodeWords(value: string, length: number): string {
  // Four encoded bytes for each byte and the words' frames: more input can't be shown anyway.
  const bounded = value.slice(0, length * 16);
  const decoded = bounded.includes("=?") ? bounded.replace(WORDS, decodeWord) : bounded;
  const shown = decoded.replace(CONTROL, " ").trim();
  const cut = shown.length <= length ? shown : shown.slice(0, length).replace(/[\ud800-\udbff]$/, "");
  return cut.toWellFormed();
}

function decodeWord(word: string, charset: string, encoding: string, text: string): string {
  const bytes = encoding.toLowerCase() === "b" ? Buffer.from(text, "base64") : decodeQ(text);
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return word;
  }
}

function decodeQ(text: string): Buffer {
  const latin1 = text
    .replaceAll("_", " ")
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin1, "latin1");
}
