import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Head, readHead } from "../../src/mail/head.ts";

const bytes = (...lines: string[]) => Buffer.from(lines.map((line) => `${line}\r\n`).join(""));
const kept = (head: Head) => Buffer.concat(head.kept).toString();

function read(...lines: string[]): Head {
  const head = readHead(bytes(...lines));
  if (head.kind === "refused") throw new Error(head.reply.text);
  return head;
}

describe("the header section", () => {
  test("Bcc and Return-Path are taken out with their continuation lines, all else stays as it is", () => {
    const head = read(
      "From: a@one.example",
      "BCC: secret@two.example,",
      "\tsecret@three.example",
      "To: b@two.example",
      "return-path: <x@one.example>",
      "Resent-Bcc: y@one.example",
      "X-Last:  spaces  ",
    );
    expect(kept(head)).toBe("From: a@one.example\r\nTo: b@two.example\r\nX-Last:  spaces  \r\n");
  });

  test("what is there is told, in whatever case and folding", () => {
    const head = read(
      "DATE: Sun, 22 Nov 2026 05:27:00 +0000",
      "Message-Id:",
      " <x@y.example>",
      "from : A",
      " <a@one.example>",
      "Subject: =?utf-8?B?R3LDvMOfZQ==?=",
    );
    expect(head).toMatchObject({
      hasDate: true,
      messageId: "<x@y.example>",
      from: ["a@one.example"],
      subject: "Grüße",
      sender: [],
    });
  });

  test("missing and empty Date and Message-ID count as missing, and an empty one is taken out", () => {
    expect(read("From: a@one.example")).toMatchObject({ hasDate: false, messageId: null, subject: null });
    const empty = read("Date:", "Message-ID: ", "From: a@one.example");
    expect(empty).toMatchObject({ hasDate: false, messageId: null });
    expect(kept(empty)).toBe("From: a@one.example\r\n");
  });

  test("raw UTF-8 is read as such", () => {
    expect(read("From: Müller <a@bücher.example>", "Subject: Grüße")).toMatchObject({
      from: ["a@xn--bcher-kva.example"],
      subject: "Grüße",
    });
  });

  test("the section ends at a line that is no field: it is content", () => {
    const section = bytes("Subject: x", "this is no field", "From: b@two.example");
    const head = readHead(section) as Head;
    expect(head.fieldBytes).toBe("Subject: x\r\n".length);
    expect(kept(head)).toBe("Subject: x\r\n");
    expect(head.from).toEqual([]);
  });

  test("a message may have no header at all", () => {
    expect(readHead(Buffer.alloc(0))).toMatchObject({ kind: "head", fieldBytes: 0, from: [], kept: [] });
    expect(readHead(bytes("Hello", "World"))).toMatchObject({ kind: "head", fieldBytes: 0 });
  });

  test.each([
    [["From: a@one.example", "From: b@two.example"], "More than one From header"],
    [["From: a@one.example", "Sender: a@one.example", "Sender: b@two.example"], "More than one Sender header"],
    [["From: nobody"], "Malformed From header"],
    [["From:"], "Malformed From header"],
    [["From: a@one.example", "Sender: <a@one.example"], "Malformed Sender header"],
    [["From: a@one.example <b@two.example>, c d <"], "Malformed From header"],
  ])("%j is refused: %s", (lines, text) => {
    const head = readHead(bytes(...lines));
    expect(head).toMatchObject({ kind: "refused", reply: { code: 550, detail: "6.0" } });
    expect(head.kind === "refused" && head.reply.text).toContain(text);
  });

  test("a hundred hops pass, one more is a loop", () => {
    const hops = (n: number) => Array.from({ length: n }, (_, i) => `Received: from h${i}`);
    expect(readHead(bytes(...hops(100))).kind).toBe("head");
    expect(readHead(bytes(...hops(101)))).toMatchObject({ kind: "refused", reply: { code: 554, detail: "4.6" } });
  });

  test("whatever the section is, the fields that stay are a part of it, in order, each whole", () => {
    const line = fc.oneof(
      fc.constantFrom("Bcc: a", "Return-Path: b", "Date: c", " folded", "X: y", "no field", "Date:", "To: d"),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(line.map((text) => text.replace(/[\r\n]/g, ""))), (lines) => {
        const section = bytes(...lines);
        const head = readHead(section);
        fc.pre(head.kind === "head");
        const text = kept(head as Head);
        expect(text === "" || text.endsWith("\r\n")).toBe(true);
        expect(text).not.toMatch(/^(bcc|return-path|resent-bcc)[ \t]*:/im);
        expect((head as Head).fieldBytes).toBeLessThanOrEqual(section.length);
      }),
    );
  });
});
