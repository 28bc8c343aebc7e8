import { simpleParser } from "mailparser";
import { describe, expect, test } from "vitest";
import { composeLetter, escapeHtml } from "../../src/mail/compose.ts";

const letter = {
  from: { name: "Postmeter", address: "postmeter@relay.example" },
  to: ["owner@master.example", "billing@master.example"],
  subject: "90 % of the limit of Müller used",
  text: "90 % are used.\n.\nRaise: https://relay.example/",
  html: "<p>90 % are used.</p>",
  messageId: "alert-1@relay.example",
  at: new Date("2026-11-22T05:27:00Z"),
};

describe("letters of our own", () => {
  test("text and HTML arrive as they were written", async () => {
    const parsed = await simpleParser(Buffer.from(await composeLetter(letter)));
    expect(parsed.subject).toBe(letter.subject);
    expect(parsed.text?.trim()).toBe(letter.text);
    expect(parsed.html).toContain("<p>90 % are used.</p>");
    expect(parsed.messageId).toBe("<alert-1@relay.example>");
    expect(parsed.date).toEqual(letter.at);
    expect(parsed.headers.get("auto-submitted")).toBe("auto-generated");
  });

  test("the bytes are 7-bit with CRLF line ends", async () => {
    const text = Buffer.from(await composeLetter(letter)).toString("latin1");
    expect(text.replaceAll("\r\n", "")).not.toMatch(/[\r\n\u0080-\u00ff]/);
    expect(text.endsWith("\r\n")).toBe(true);
  });

  test("a line break in a value adds no header", async () => {
    const text = Buffer.from(
      await composeLetter({
        ...letter,
        subject: "x\r\nBcc: evil@other.example",
        headers: { "X-Account": "a\r\nBcc: evil@other.example" },
      }),
    ).toString();
    expect(text).not.toMatch(/^Bcc:/im);
  });

  test("text goes into HTML as text", () => {
    expect(escapeHtml(`<a href="x">'&'</a>`)).toBe("&#60;a href=&#34;x&#34;&#62;&#39;&#38;&#39;&#60;/a&#62;");
  });
});
