/** The vocabulary of mail: addresses, mailboxes, headers, encoded words, line endings, parameters. */
import fc from "fast-check";
import { expect } from "vitest";
import { asciiDomain, parseAddress } from "../../src/mail/address.ts";
import { decodeWords } from "../../src/mail/encoded-words.ts";
import { readMailParameters, readRcptParameters } from "../../src/mail/envelope.ts";
import { readHead } from "../../src/mail/head.ts";
import { scanFields } from "../../src/mail/headers.ts";
import { createLineEndings } from "../../src/mail/line-endings.ts";
import { parseMailboxes } from "../../src/mail/mailboxes.ts";
import { isOneLine, nastyChunks, nastyText } from "./texts.ts";

const parameters = fc.dictionary(
  fc.constantFrom("SIZE", "BODY", "SMTPUTF8", "RET", "ENVID", "AUTH", "NOTIFY", "ORCPT", "X", "__proto__"),
  fc.oneof(fc.constant(true as const), nastyText(120), fc.constantFrom("FULL", "8bitmime", "never", "SUCCESS,DELAY")),
);

function repaired(chunks: readonly Buffer[]): { text: string; pieces: number } {
  const endings = createLineEndings();
  const pieces: Buffer[] = [];
  for (const chunk of chunks) endings.push(chunk, (piece) => pieces.push(piece));
  endings.end((piece) => pieces.push(piece));
  return { text: Buffer.concat(pieces).toString("latin1"), pieces: pieces.length };
}

export const mailProperties = {
  "an address is one line, short, and read again as itself": fc.property(nastyText(), (text) => {
    const address = parseAddress(text);
    if (address === undefined) return;
    expect(address).not.toMatch(/\p{Cc}/u);
    expect(Buffer.byteLength(address)).toBeLessThanOrEqual(254);
    expect(address.isWellFormed()).toBe(true);
    expect(parseAddress(address)).toBe(address);
  }),
  "a domain is of lower-case A-labels, and read again as itself": fc.property(nastyText(), (text) => {
    const domain = asciiDomain(text);
    if (domain === undefined) return;
    expect(domain).toMatch(/^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*$/);
    expect(asciiDomain(domain)).toBe(domain);
  }),
  "the mailboxes of a field are addresses, and none that stands in brackets is missed": fc.property(
    nastyText(600),
    (text) => {
      const found = parseMailboxes(text);
      if (found === undefined) return;
      expect(found.length).toBeGreaterThan(0);
      expect(found.length).toBeLessThanOrEqual(50);
      for (const address of found) expect(parseAddress(address)).toBe(address);
      const bare = text.replace(/\([^()]*\)/g, " ");
      if (/["\\()]/.test(bare)) return;
      for (const [, inner] of bare.matchAll(/<\s*([^<>\s]+@[^<>\s]+)\s*>/g)) {
        expect(found).toContain(parseAddress(inner as string));
      }
    },
  ),
  "words of a header are shown bounded, whole, without control characters, and the same again": fc.property(
    nastyText(3000),
    fc.integer({ min: 1, max: 250 }),
    (text, length) => {
      const shown = decodeWords(text, length);
      expect(shown.length).toBeLessThanOrEqual(length);
      expect(shown.isWellFormed()).toBe(true);
      expect(shown).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
    },
  ),
  "fields lie one behind the other, each a whole number of lines": fc.property(nastyText(2000), (text) => {
    const section = `${text.replace(/\r\n?|\n/g, "\r\n")}\r\n`;
    const { fields, end } = scanFields(section);
    let at = 0;
    for (const field of fields) {
      expect(field.start).toBe(at);
      expect(field.value).toBeGreaterThan(field.start);
      expect(section.slice(field.start, field.end)).toMatch(/^[!-9;-~]+[ \t]*:[\s\S]*\r\n$/);
      at = field.end;
    }
    expect(end).toBe(at);
  }),
  "what stays of a head is a part of it, without Bcc, and a second reading changes nothing": fc.property(
    nastyText(2000),
    (text) => {
      const section = Buffer.from(`${text.replace(/\r\n?|\n/g, "\r\n")}\r\n`);
      const head = readHead(section);
      if (head.kind === "refused") return void expect(isOneLine(head.reply.text)).toBe(true);
      const kept = Buffer.concat(head.kept);
      expect(kept.length).toBeLessThanOrEqual(head.fieldBytes);
      expect(kept.toString("latin1")).not.toMatch(/(^|\n)(bcc|resent-bcc|return-path)[ \t]*:/i);
      for (const shown of [head.subject, head.messageId]) expect(isOneLine(shown ?? "")).toBe(true);
      const again = readHead(kept);
      expect(again.kind === "head" && Buffer.concat(again.kept).equals(kept)).toBe(true);
    },
  ),
  "lines end in CRLF alone however they are cut, in few pieces, and a second pass changes nothing": fc.property(
    nastyChunks,
    (chunks) => {
      const { text, pieces } = repaired(chunks);
      expect(text.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
      expect(text).toBe(repaired([Buffer.concat(chunks)]).text);
      expect(repaired([Buffer.from(text, "latin1")]).text).toBe(text);
      expect(pieces).toBeLessThanOrEqual(chunks.length + 1);
    },
  ),
  "parameters are read, or refused in one line": fc.property(parameters, (given) => {
    for (const read of [readMailParameters(given), readRcptParameters(given)]) {
      if (read.kind === "refused") {
        expect(read.reply.text).toMatch(/^[ -~]{1,120}$/);
        expect([501, 555]).toContain(read.reply.code);
      } else for (const value of Object.values(read.value)) expect(isOneLine(String(value))).toBe(true);
    }
  }),
};
