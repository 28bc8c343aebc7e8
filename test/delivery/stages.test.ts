/** Every class of reply at every stage, played by a real server on loopback, to what is written of the message. */
import { describe, expect, test } from "vitest";
import { CUT, everything, HANG, type Script } from "../support/upstream.ts";
import { openHouse, shortOf } from "./house.ts";

const patient = { connect: 10_000, setup: 10_000, command: 10_000, body: 10_000, end: 10_000, idle: 10_000 };
/** For the cases that hang, at the stage that hangs: where it hangs decides, not how long another stage took. */
const impatient = { ...patient, connect: 50, setup: 50, command: 50 };
const once = { failures: 1, firstPauseMs: 60_000, longestPauseMs: 60_000 };

const cases: [string, Script, string][] = [
  ["all goes well", {}, "delivered 250 2.0.0"],
  ["4xx greeting", { greeting: "450 4.3.2 Busy" }, "deferred 450 4.3.2"],
  ["421 greeting", { greeting: "421 4.3.2 Busy" }, "deferred 421 4.3.2"],
  ["5xx greeting", { greeting: "554 5.7.1 Go away" }, "deferred 554 4.7.1"],
  ["greeting that is none", { greeting: "hello" }, "deferred 4.3.2"],
  ["no greeting", { greeting: HANG }, "deferred 4.4.2"],
  ["cut before the greeting", { greeting: CUT }, "deferred 4.4.2"],
  ["4xx to EHLO and HELO", { helo: () => "451 4.3.0 later" }, "deferred 451 4.3.0"],
  ["421 to EHLO", { helo: () => "421 4.3.2 closing" }, "deferred 421 4.3.2"],
  ["5xx to EHLO and HELO", { helo: () => "550 5.7.1 no" }, "deferred 550 4.7.1"],
  ["5xx to EHLO alone", { helo: (line) => (line.startsWith("EHLO") ? "500 what" : "250 ok") }, "delivered 250 2.0.0"],
  ["no answer to EHLO", { helo: () => HANG }, "deferred 4.4.2"],
  ["cut at EHLO", { helo: () => CUT }, "deferred 4.4.2"],
  ["4xx to MAIL", { mail: () => "450 4.7.1 Greylisted" }, "deferred 450 4.7.1"],
  ["5xx to MAIL", { mail: () => "550 5.7.1 Sender refused" }, "bounced 550 5.7.1"],
  ["421 to MAIL", { mail: () => "421 4.3.2 closing" }, "deferred 421 4.3.2"],
  ["no answer to MAIL", { mail: () => HANG }, "deferred 4.4.2"],
  ["cut at MAIL", { mail: () => CUT }, "deferred 4.4.2"],
  ["4xx to RCPT", { rcpt: () => "451 4.2.1 later" }, "deferred 451 4.2.1"],
  ["5xx to RCPT", { rcpt: () => "550 5.1.1 unknown" }, "bounced 550 5.1.1"],
  ["421 to RCPT", { rcpt: () => "421 4.3.2 closing" }, "deferred 421 4.3.2"],
  ["no answer to RCPT", { rcpt: () => HANG }, "deferred 4.4.2"],
  ["cut at RCPT", { rcpt: () => CUT }, "deferred 4.4.2"],
  ["4xx to DATA", { data: () => "451 4.3.0 later" }, "deferred 451 4.3.0"],
  ["5xx to DATA", { data: () => "554 5.7.1 no" }, "bounced 554 5.7.1"],
  ["421 to DATA", { data: () => "421 4.3.2 closing" }, "deferred 421 4.3.2"],
  ["2xx to DATA", { data: () => "250 ok" }, "deferred 4.5.0"],
  ["no answer to DATA", { data: () => HANG }, "deferred 4.4.2"],
  ["cut at DATA", { data: () => CUT }, "deferred 4.4.2"],
  ["4xx to the dot", { end: () => "452 4.2.2 full" }, "deferred 452 4.2.2"],
  ["5xx to the dot", { end: () => "554 5.6.0 spam" }, "bounced 554 5.6.0"],
  ["421 to the dot", { end: () => "421 4.3.2 closing" }, "deferred 421 4.3.2"],
  ["3xx to the dot", { end: () => "354 more?" }, "deferred 4.4.2 indeterminate"],
  ["no answer to the dot", { end: () => HANG }, "deferred 4.4.2 indeterminate"],
  ["cut after the dot", { end: () => CUT }, "deferred 4.4.2 indeterminate"],
  ["multiline refusal", { end: () => "550-5.7.1 line one\n550 5.7.1 line two" }, "bounced 550 5.7.1"],
];

describe.each([
  ["a peer that pipelines", everything],
  ["a peer that does not", ["8BITMIME"]],
])("%s", (_name, extensions) => {
  test.each(cases)("%s", async (name, script, expected) => {
    const hangs = name.startsWith("no answer") || name === "no greeting";
    const patience = !hangs ? patient : name.endsWith("dot") ? { ...patient, end: 50 } : impatient;
    const house = await openHouse({ script: { extensions, ...script }, tuning: { patience, breaker: once } });
    const result = await house.deliver();
    expect(shortOf(result)).toEqual([expected]);
    expect(result.dueAt === null).toBe(!expected.startsWith("deferred"));
    const indeterminate = expected.endsWith("indeterminate");
    expect(result.route).toBe(indeterminate ? `smtp://127.0.0.1:${house.upstream.port}` : null);
    expect(result.dsn === null).toBe(!expected.startsWith("bounced"));
  });
});

test("a host that refuses the connection defers", async () => {
  const house = await openHouse({ tuning: { breaker: once } });
  await house.upstream[Symbol.asyncDispose]();
  const result = await house.deliver();
  expect(shortOf(result)).toEqual(["deferred 4.4.1"]);
  expect(result.recipients[0]?.attempt).toMatchObject({ remote: null, reply: expect.stringContaining("ECONNREFUSED") });
});

test("a host that can't be looked up defers", async () => {
  const house = await openHouse({ url: "smtp://no-such-host.invalid:25", tuning: { breaker: once } });
  expect(shortOf(await house.deliver())).toEqual(["deferred 4.4.3"]);
});

test("each recipient has its own outcome, and the rest of the message goes on", async () => {
  const answers: Record<string, string> = { b: "550 5.1.1 unknown", c: "450 4.2.1 busy" };
  const rcpt = (line: string) => answers[line.slice(9, 10)];
  const house = await openHouse({ script: { rcpt } });
  const result = await house.deliver({ to: ["a@x.example", "b@x.example", "c@x.example", "d@x.example"] });
  expect(shortOf(result)).toEqual([
    "delivered 250 2.0.0",
    "bounced 550 5.1.1",
    "deferred 450 4.2.1",
    "delivered 250 2.0.0",
  ]);
  expect(house.upstream.received[0]?.rcpt).toEqual(["RCPT TO:<a@x.example>", "RCPT TO:<d@x.example>"]);
});

test("more recipients than a peer takes at once go in several transactions", async () => {
  let inThis = 0;
  const script: Script = {
    mail: () => {
      inThis = 0;
      return undefined;
    },
    rcpt: () => {
      inThis += 1;
      return inThis > 3 ? "452 4.5.3 Too many recipients" : undefined;
    },
  };
  const house = await openHouse({ script });
  const to = Array.from({ length: 8 }, (_, i) => `r${i}@x.example`);
  const result = await house.deliver({ to });
  expect(new Set(shortOf(result))).toEqual(new Set(["delivered 250 2.0.0"]));
  expect(result.recipients.map(({ n }) => n).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(house.upstream.received.map(({ rcpt }) => rcpt.length)).toEqual([3, 3, 2]);
  expect(house.upstream.connections()).toBe(1);
});

test("a transaction never has more recipients than we allow ourselves", async () => {
  const house = await openHouse({ tuning: { recipients: 3 } });
  const to = Array.from({ length: 7 }, (_, i) => `r${i}@x.example`);
  expect(shortOf(await house.deliver({ to }))).toHaveLength(7);
  expect(house.upstream.received.map(({ rcpt }) => rcpt.length)).toEqual([3, 3, 1]);
});

test("a refused transaction leaves the connection usable for the next message", async () => {
  const script: Script = {
    rcpt: (line) => (line.includes("nobody") ? "550 5.1.1 unknown" : undefined),
    data: (_line, n) => (n === 1 ? "451 4.3.0 later" : undefined),
    end: (_message, n) => (n === 1 ? "554 5.6.0 spam" : undefined),
  };
  const house = await openHouse({ script });
  const outcomes: string[][] = [];
  for (const to of ["nobody@x.example", "a@x.example", "b@x.example", "c@x.example", "d@x.example"]) {
    outcomes.push(shortOf(await house.deliver({ to: [to] })));
  }
  expect(outcomes.flat()).toEqual([
    "bounced 550 5.1.1",
    "deferred 451 4.3.0",
    "delivered 250 2.0.0",
    "bounced 554 5.6.0",
    "delivered 250 2.0.0",
  ]);
  expect(house.upstream.connections()).toBe(1);
});

test("a peer that takes DATA with no recipient gets an empty message, which goes to nobody", async () => {
  const script: Script = { rcpt: (_line, n) => (n === 0 ? "550 5.1.1 unknown" : undefined), data: () => "354 go" };
  const house = await openHouse({ script });
  expect(shortOf(await house.deliver())).toEqual(["bounced 550 5.1.1"]);
  expect(shortOf(await house.deliver())).toEqual(["delivered 250 2.0.0"]);
  expect(house.upstream.connections()).toBe(1);
});

test("an answer in the middle of a large message ends it without a dot", async () => {
  const part = Buffer.alloc(64 * 1024, "x\r\n");
  const script: Script = { body: (bytes) => (bytes > 200_000 ? "552 5.3.4 Too large" : undefined) };
  const house = await openHouse({ script });
  const parts = Array.from({ length: 100 }, () => part);
  const result = await house.deliver({ bytes: null, bodyParts: 100, sizeBytes: 6_553_600, parts });
  expect(shortOf(result)).toEqual(["bounced 552 5.3.4"]);
  expect(house.upstream.received).toHaveLength(0);
});

test("a peer that says 250 before the end has not taken the message", async () => {
  const script: Script = { body: (bytes) => (bytes > 200_000 ? "250 2.0.0 Enough" : undefined) };
  const house = await openHouse({ script });
  const parts = Array.from({ length: 100 }, () => Buffer.alloc(64 * 1024, "x\r\n"));
  const result = await house.deliver({ bytes: null, bodyParts: 100, sizeBytes: 6_553_600, parts });
  expect(result.recipients).toMatchObject([{ state: "deferred" }]);
});

test("a peer that does not pipeline is not asked for recipients after it refused the sender", async () => {
  const house = await openHouse({ script: { extensions: [], mail: () => "550 5.7.1 no" } });
  await house.deliver();
  expect(house.upstream.commands.join()).not.toMatch(/RCPT|DATA/);
});
