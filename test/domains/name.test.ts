/** Which names can be owned. */
import { expect, test } from "vitest";
import { ownableName } from "../../src/domains/domain.ts";
import { isPublicSuffix } from "../../src/domains/public-suffix.ts";

test.each([
  ["customer.example", "customer.example"],
  ["Mail.Customer.EXAMPLE.", "mail.customer.example"],
  [" customer.example ", "customer.example"],
  ["bücher.example", "xn--bcher-kva.example"],
  ["BÜCHER.example", "xn--bcher-kva.example"],
  ["shop.co.uk", "shop.co.uk"],
  ["www.ck", "www.ck"],
  ["a.b.c.d.customer.example", "a.b.c.d.customer.example"],
])("%j is the domain %s", (given, name) => expect(ownableName(given)).toBe(name));

test.each([
  "",
  ".",
  "example",
  "com",
  "co.uk",
  "CO.UK.",
  "github.io",
  "anything.ck",
  "xn--p1ai",
  "customer..example",
  ".customer.example",
  "-a.example",
  "a-.example",
  "under_score.example",
  "_postmeter.customer.example",
  "a b.example",
  "a\0b.example",
  "a@customer.example",
  "https://customer.example",
  "customer.example/path",
  "customer.example:25",
  "*.customer.example",
  "127.0.0.1",
  "[127.0.0.1]",
  "::1",
  "1.2.3",
  "xn--zzzzzz--.example",
  `${"a".repeat(64)}.example`,
  `${"abcdefgh.".repeat(27)}abc.example`,
])("%j is refused", (given) => {
  expect(() => ownableName(given)).toThrow(
    expect.objectContaining({ kind: "invalid", details: [expect.objectContaining({ pointer: "/name" })] }),
  );
});

test("public suffixes: plain rules, wildcards and exceptions", () => {
  for (const suffix of ["com", "co.uk", "anything.ck", "github.io", "xn--55qx5d.cn"])
    expect([suffix, isPublicSuffix(suffix)]).toEqual([suffix, true]);
  for (const name of ["a.com", "b.co.uk", "www.ck", "city.kawasaki.jp", "me.github.io"])
    expect([name, isPublicSuffix(name)]).toEqual([name, false]);
});
