import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseMailboxes } from "../../src/mail/mailboxes.ts";

describe("the mailboxes of From", () => {
  test.each([
    ["app@customer.example", ["app@customer.example"]],
    ["<app@customer.example>", ["app@customer.example"]],
    ["Customer <app@customer.example>", ["app@customer.example"]],
    ["John Q. Public <john@customer.example>", ["john@customer.example"]],
    ['"Customer, Inc." <app@customer.example>', ["app@customer.example"]],
    ['"evil@other.example" <app@customer.example>', ["app@customer.example"]],
    ['"a \\" b" <app@customer.example>', ["app@customer.example"]],
    ["=?utf-8?Q?M=C3=BCller?= <app@customer.example>", ["app@customer.example"]],
    ["=?utf-8?Q?app@x?= <app@customer.example>", ["app@customer.example"]],
    ["=?utf-8?q?boss=40other.example?= <app@customer.example>", ["app@customer.example"]],
    ["=?utf-8?q?=3Cboss=40other.example=3E?= <app@customer.example>", ["app@customer.example"]],
    ["=?utf-8?b?Ym9zc0BvdGhlci5leGFtcGxl?= =?utf-8?q?_x?= <app@customer.example>", ["app@customer.example"]],
    ["Müller <app@bücher.example>", ["app@xn--bcher-kva.example"]],
    ["app@customer.example (the app)", ["app@customer.example"]],
    ["(a (nested) comment) app@customer.example", ["app@customer.example"]],
    ["a@one.example, B <b@two.example>", ["a@one.example", "b@two.example"]],
    ["a@one.example,", ["a@one.example"]],
    ['"odd local"@customer.example', ['"odd local"@customer.example']],
    ["x@[192.0.2.1]", ["x@[192.0.2.1]"]],
    ["x@[IPv6:2001:db8::1]", ["x@[IPv6:2001:db8::1]"]],
  ])("%s", (value, addresses) => {
    expect(parseMailboxes(value)).toEqual(addresses);
  });

  test("an address in an unquoted display name is a claim, too", () => {
    expect(parseMailboxes("ceo@bank.example <app@customer.example>")).toEqual([
      "app@customer.example",
      "ceo@bank.example",
    ]);
  });

  test("a comment that looks like an address hides none: quotes have no meaning in comments", () => {
    expect(parseMailboxes('(a" b) <evil@other.example> ("c) <app@customer.example>')).toBeUndefined();
    expect(parseMailboxes("(\\) <evil@other.example>) app@customer.example")).toEqual(["app@customer.example"]);
  });

  test.each([
    "",
    "   ",
    ",",
    "Customer",
    "Customer, Inc. <app@customer.example>",
    "<>",
    "Customer <>",
    "app@customer.example app@other.example",
    "app @customer.example",
    "app@customer .example",
    "<app@customer.example> <app@other.example>",
    "<app@customer.example> trailing",
    "<<app@customer.example>>",
    "Customer <app@customer.example",
    "Customer app@customer.example>",
    '"never closed <app@customer.example>',
    "(never closed app@customer.example",
    ") app@customer.example",
    "Team: app@customer.example;",
    "<@relay.example:app@customer.example>",
    "back\\slash <app@customer.example>",
    "@handle <app@customer.example>",
    "=?utf-8?q?app?=@customer.example",
    "App <=?utf-8?q?app?=@customer.example>",
    '"=?utf-8?q?boss=40other.example?="@customer.example',
    "=?utf-8?q?boss=40other.example?=",
    "=?utf-8?q?boss=40other.example_?=<>",
    "=?utf-8?q?x?=boss@other.example <app@customer.example>",
    "app@customer.example;app@other.example",
    "app\u0000@customer.example",
    Array.from({ length: 51 }, (_, n) => `a${n}@customer.example`).join(","),
  ])("%j is malformed", (value) => {
    expect(parseMailboxes(value)).toBeUndefined();
  });

  test("any display name in quotes leaves the address alone", () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const quoted = `"${name.replace(/["\\]/g, "\\$&")}"`;
        expect(parseMailboxes(`${quoted} <app@customer.example>`)).toEqual(["app@customer.example"]);
      }),
    );
  });

  test("no value takes long, and what is found is always an address", () => {
    const pieces = fc.array(
      fc.constantFrom('"', "(", ")", "<", ">", ",", "@", "a", ".", " ", "\\", ":", ";", "[", "]"),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(pieces, (parts) => {
        for (const address of parseMailboxes(parts.join("")) ?? []) expect(address).toMatch(/^.+@.+$/);
      }),
    );
  });
});
