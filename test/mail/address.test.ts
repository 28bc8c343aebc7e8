import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asciiDomain, domainOf, needsUtf8, parseAddress, recipientKey } from "../../src/mail/address.ts";

describe("addresses", () => {
  test.each([
    ["app@customer.example", "app@customer.example"],
    ["App.Name+tag@Customer.Example", "App.Name+tag@customer.example"],
    ["a@b", "a@b"],
    ["x@bücher.example", "x@xn--bcher-kva.example"],
    ["x@BÜCHER.example", "x@xn--bcher-kva.example"],
    ["x@xn--bcher-kva.example", "x@xn--bcher-kva.example"],
    ["x@faß.example", "x@xn--fa-hia.example"],
    ["δοκιμή@παράδειγμα.example", "δοκιμή@xn--hxajbheg2az3al.example"],
    ['"quoted local"@example.com', '"quoted local"@example.com'],
    ['"a@b"@example.com', '"a@b"@example.com'],
    ["x@[192.0.2.1]", "x@[192.0.2.1]"],
    ["x@[IPv6:2001:DB8::1]", "x@[IPv6:2001:db8::1]"],
    ["a=?b?=c@example.com", "a=?b?=c@example.com"],
    ["=?x?y?=@example.com", "=?x?y?=@example.com"],
    ["!#$%&'*+/=?^_`{|}~-@example.com", "!#$%&'*+/=?^_`{|}~-@example.com"],
  ])("%s is read as %s", (text, address) => {
    expect(parseAddress(text)).toBe(address);
  });

  test.each([
    "",
    "@",
    "a@",
    "@b.example",
    "no-at-sign",
    "a b@example.com",
    "a@b@example.com",
    ".a@example.com",
    "a.@example.com",
    "a..b@example.com",
    "a@.example.com",
    "a@example.com.",
    "a@exa mple.com",
    "a@example..com",
    "a@-example.com",
    "a@exa_mple.com",
    "a@1.2.3.4",
    "a@0x7f.1",
    "a@example.com:25",
    "a@example.com/path",
    "a@%65xample.com",
    "a@[300.1.1.1]",
    "a@[IPv6:zz]",
    "a@[IPv6:fe80::1%eth0]",
    "a@[192.0.2.1",
    'x"y@example.com',
    "a,b@example.com",
    "a\r\nRCPT@example.com",
    "a\0@example.com",
    "=?utf-8?q?x?=@example.com",
    "=?utf-8?B?Ym9zcw==?=@example.com",
    "boss=?utf-8*en?Q?=40other.example?=@example.com",
    '"=?utf-8?q?boss=40other.example?="@example.com',
    "a\u200b@example.com",
    "a\u202eb@example.com",
    "a\ufffd@example.com",
    "a@xn--.example",
    `${"l".repeat(250)}@example.com`,
    `a@${"l".repeat(64)}.example`,
  ])("%j is no address", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });

  test("an address that was read is read as itself", () => {
    const local = fc.stringMatching(/^[A-Za-z0-9+_-]{1,20}$/);
    const domain = fc.oneof(fc.domain(), fc.stringMatching(/^[A-Za-zäöüßéα-ω]{1,12}\.example$/));
    fc.assert(
      fc.property(local, domain, (l, d) => {
        const address = parseAddress(`${l}@${d}`);
        fc.pre(address !== undefined);
        expect(parseAddress(address as string)).toBe(address);
        expect(domainOf(address as string)).toMatch(/^[a-z0-9.-]+$/);
        expect(recipientKey(address as string)).toBe(recipientKey(parseAddress(`${l.toUpperCase()}@${d}`) as string));
      }),
    );
  });

  test("no text makes an address with a control character or a space outside quotes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (l, d) => {
        const address = parseAddress(`${l}@${d}`);
        if (address !== undefined) expect(address).not.toMatch(/\p{Cc}/u);
        if (address !== undefined && !address.startsWith('"')) expect(address).not.toMatch(/[\s<>]/);
      }),
      { numRuns: 300 },
    );
  });

  test("only a local part outside ASCII needs SMTPUTF8", () => {
    expect(needsUtf8(parseAddress("x@bücher.example") as string)).toBe(false);
    expect(needsUtf8(parseAddress("ü@example.com") as string)).toBe(true);
  });

  test("a host name is compared in lower-case A-labels", () => {
    expect(asciiDomain("MAIL.Example.COM")).toBe("mail.example.com");
    expect(asciiDomain("日本.example")).toBe("xn--wgv71a.example");
    expect(asciiDomain("")).toBeUndefined();
  });
});
