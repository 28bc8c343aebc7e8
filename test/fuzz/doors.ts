/** What doors read: ids, cursors, tags, representations, forwarded addresses, the PROXY header, client networks. */
import fc from "fast-check";
import { expect } from "vitest";
import { networkOf } from "../../src/accounts/lockout.ts";
import { decodeCursor } from "../../src/api/cursor.ts";
import { expectedVersions } from "../../src/api/etag.ts";
import { negotiate } from "../../src/api/negotiate.ts";
import { Problem } from "../../src/api/problem.ts";
import { receivedField } from "../../src/mail/trace.ts";
import { NO_PRICE } from "../../src/metering/statement-amounts.ts";
import { statementCsv } from "../../src/metering/statement-csv.ts";
import { networks, originOf } from "../../src/platform/client-address.ts";
import { formatId, newId, parseId, type SubaccountId } from "../../src/platform/ids.ts";
import { createKeyring } from "../../src/platform/secrets.ts";
import { readProxyHeader } from "../../src/submission/proxy.ts";
import { nastyChunks, nastyText } from "./texts.ts";

const keyring = createKeyring(Buffer.alloc(32, 7));
const trusted = networks(["10.0.0.0/8", "::1"]);
const now = new Date("2026-11-22T05:27:00Z");
const clock = { offsetMs: 0, now: () => now };

function orProblem<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    expect(error).toBeInstanceOf(Problem);
    return undefined;
  }
}

const idText = fc.oneof(
  nastyText(60),
  fc.tuple(fc.constantFrom("msg", "sub", "mas"), fc.stringMatching(/^[0-9a-zA-Z]{25,27}$/)).map((p) => p.join("_")),
);

const v2 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(1200), fc.uint8Array({ maxLength: 80 })).map(([a, b, n, rest]) => {
  const head = Buffer.from("\r\n\r\n\0\r\nQUIT\n\0\0\0\0", "latin1");
  head.set([a, b], 12);
  head.writeUInt16BE(n, 14);
  return Buffer.concat([head, rest]);
});

export const doorProperties = {
  "an id that is read is written as it was": fc.property(idText, (text) => {
    for (const prefix of ["msg", "sub", "mas"] as const) {
      const id = parseId(prefix, text);
      if (id === undefined) continue;
      expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      expect(formatId(prefix, id as never)).toBe(text);
    }
  }),
  "no text is a cursor": fc.property(nastyText(400), (text) => {
    expect(orProblem(() => decodeCursor(keyring, "/v1/keys?", text))).toBeUndefined();
  }),
  "tags and representations are read, or refused as a problem": fc.property(nastyText(400), (text) => {
    const versions = orProblem(() => expectedVersions(text));
    for (const version of versions ?? []) expect(Number.isSafeInteger(version)).toBe(true);
    const type = orProblem(() => negotiate(text, ["application/json", "text/csv"]));
    if (type !== undefined) expect(["application/json", "text/csv"]).toContain(type);
  }),
  "who was forwarded never counts as this machine": fc.property(nastyText(200), nastyText(20), (forwarded, socket) => {
    expect(originOf("10.0.0.1", forwarded, true, trusted).loopback).toBe(false);
    expect(originOf("127.0.0.1", forwarded, false, trusted).loopback).toBe(false);
    expect(networkOf(networkOf(socket))).toBe(networkOf(socket));
    expect(networkOf(socket)).not.toContain("NaN");
  }),
  "a PROXY header is decided once, however it is cut": fc.property(
    fc.oneof(
      nastyChunks.map((chunks) => Buffer.concat(chunks)),
      v2,
      nastyText(120).map((text) => Buffer.from(`PROXY TCP4 ${text}\r\n`)),
    ),
    (bytes) => {
      const all = readProxyHeader(bytes);
      if (all.kind === "header") {
        expect(all.length).toBeLessThanOrEqual(Math.min(1024, bytes.length));
        if (all.client !== null) expect(all.client.address).toMatch(/^[0-9a-f.:%\w]+$/);
      }
      for (let cut = 0; cut <= Math.min(bytes.length, 130); cut++) {
        const part = readProxyHeader(bytes.subarray(0, cut));
        if (part.kind !== "incomplete" && cut > 0) return void expect(part).toEqual(all);
      }
    },
  ),
  "our Received field holds nothing of the client's but a harmless name": fc.property(nastyText(300), (greetedAs) => {
    const client = { clientAddress: "192.0.2.7", hostname: "relay.example", id: "msg_1", at: now };
    const field = receivedField({ ...client, greetedAs, tls: true, authenticated: true, smtpUtf8: false });
    expect(field.split("\r\n")).toHaveLength(4);
    expect(field.replaceAll("\r\n", "")).toMatch(/^[ -~\t]+$/);
  }),
  "a statement's table is read back as it was, and no cell is a formula": fc.property(nastyText(200), (name) => {
    const subaccountId = newId<SubaccountId>(clock);
    const line = { subaccountId, name, externalId: name, monthlyLimit: 1, topUp: 0, messages: 1, units: 1 };
    const csv = statementCsv({
      period: { start: now, end: now },
      lines: [{ ...line, ...NO_PRICE, corrections: 0, billingProfile: name }],
      profiles: [{ name, currency: "EUR", costCentre: name }],
    } as unknown as Parameters<typeof statementCsv>[0]);
    const row = csv.slice(csv.indexOf("\r\n") + 2);
    const cells = [...row.matchAll(/"((?:[^"]|"")*)"/g)].map(([, cell]) => (cell as string).replaceAll('""', '"'));
    expect(cells).toHaveLength(4);
    for (const cell of cells) {
      expect(cell === name || cell === `'${name}`).toBe(true);
      expect(cell).not.toMatch(/^\s*[=+\-@＝＋－＠]/u);
    }
  }),
};
