/** TXT look-ups against a real DNS server over UDP. */
import { expect, test } from "vitest";
import { createTxtLookup } from "../../src/domains/lookup.ts";
import { testDns } from "../support/dns.ts";

const dns = await testDns();
const lookup = createTxtLookup([dns.server], 100);

test("all values are found, long ones put together from their parts", async () => {
  const long = `v=spf1 ${"x".repeat(300)}`;
  dns.set("_postmeter.a.example", { TXT: ["postmeter-verify=abc", long] });
  expect(await lookup("_postmeter.a.example")).toEqual({ kind: "values", values: ["postmeter-verify=abc", long] });
});

test("a name without records, and one that does not exist, have no values", async () => {
  dns.set("_postmeter.b.example", { A: ["127.0.0.1"] });
  for (const name of ["_postmeter.b.example", "_postmeter.none.example"]) {
    expect(await lookup(name)).toEqual({ kind: "values", values: [] });
  }
});

test.each(["servfail", "silent"] as const)("a DNS that answers %s says nothing about the values", async (answer) => {
  dns.set(`_postmeter.${answer}.example`, answer);
  expect(await lookup(`_postmeter.${answer}.example`)).toEqual({ kind: "unavailable" });
});

test("a proof is found among any number of other values, which are cut", async () => {
  const others = Array.from({ length: 25 }, (_, i) => `other ${i}`);
  dns.set("_postmeter.c.example", { TXT: [...others, "postmeter-verify=abc"] });
  const answer = await lookup("_postmeter.c.example");
  expect(answer.kind === "values" && answer.values).toHaveLength(20);
  expect(answer.kind === "values" && answer.values[0]).toBe("postmeter-verify=abc");
});

test("what can't be stored or shown is replaced", async () => {
  dns.set("_postmeter.d.example", { TXT: ["a\0b\r\nc"] });
  expect(await lookup("_postmeter.d.example")).toEqual({ kind: "values", values: ["a\ufffdb\ufffd\ufffdc"] });
});
