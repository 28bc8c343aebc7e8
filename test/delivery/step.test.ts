/**
 * Peers whose replies do not fit the commands: an empty line, a line that is no reply, a reply too many. Nobody can tell then
 * which command a reply belongs to, so none decides about a recipient.
 */
import SMTPConnection from "nodemailer/lib/smtp-connection";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Exchange } from "../../src/delivery/outcome.ts";
import { Line } from "../../src/delivery/transport.ts";
import { eventually } from "../support/eventually.ts";
import { everything, type Script } from "../support/upstream.ts";
import { openHouse, shortOf } from "./house.ts";

const to = ["a@x.example", "b@x.example"];
const isFirst = (line: string) => line.includes("<a@");

/** What is said in place of one reply. The words after the name: what comes of both recipients. */
const before: [string, Script][] = [
  ["an empty line at MAIL", { mail: () => "\n250 2.1.0 ok" }],
  ["an empty line at RCPT", { rcpt: (line) => (isFirst(line) ? "\n550 5.1.1 unknown" : undefined) }],
  ["an empty line at DATA", { data: () => "\n354 go" }],
  ["a line of blanks at RCPT", { rcpt: (line) => (isFirst(line) ? "   \n550 5.1.1 unknown" : undefined) }],
  [
    "a reply that an empty line breaks in two",
    { rcpt: (line) => (isFirst(line) ? "550-5.1.1 no\n\n550 no" : undefined) },
  ],
  ["a reply that a word breaks in two", { rcpt: (line) => (isFirst(line) ? "550-5.1.1 no\noops\n550 no" : undefined) }],
  ["a word before a reply", { rcpt: (line) => (isFirst(line) ? "warning: slow\n550 5.1.1 no" : undefined) }],
  ["two replies to MAIL", { mail: () => "250 2.1.0 ok\n250 2.1.0 ok" }],
  ["a yes and a no to MAIL", { mail: () => "250 2.1.0 ok\n550 5.1.1 unknown" }],
  ["two refusals of one recipient", { rcpt: (line) => (isFirst(line) ? "550 5.1.1 no\n550 5.1.1 no" : undefined) }],
  ["a yes and a no to one recipient", { rcpt: (line) => (isFirst(line) ? "250 ok\n550 5.1.1 no" : undefined) }],
  ["two replies to the last recipient", { rcpt: (line) => (isFirst(line) ? undefined : "250 ok\n250 ok") }],
  [
    "a refusal, and two replies to the next recipient",
    { rcpt: (line) => (isFirst(line) ? "550 5.1.1 no" : "250 ok\n250 ok") },
  ],
  ["two replies to DATA", { data: () => "354 go\n250 2.0.0 Queued" }],
  ["a refusal behind the yes to DATA", { data: () => "354 go\n554 5.7.1 no" }],
  ["354 to MAIL", { mail: () => "354 go" }],
  ["354 to RCPT", { rcpt: (line) => (isFirst(line) ? "354 go" : undefined) }],
  ["250 to DATA", { data: () => "250 2.0.0 Queued" }],
];

const atDot: [string, Script][] = [
  ["an empty line", { end: () => "\n250 2.0.0 Queued" }],
  ["two yeses", { end: () => "250 2.0.0 Queued\n250 2.0.0 Queued" }],
  ["a yes and a no", { end: () => "250 2.0.0 Queued\n554 5.7.1 no" }],
  ["a no and a yes", { end: () => "554 5.7.1 no\n250 2.0.0 Queued" }],
  ["a refusal that an empty line breaks in two", { end: () => "554-5.7.1 no\n\n554 no" }],
];

describe.each([
  ["that pipelines", everything],
  ["that does not", ["8BITMIME"]],
])("a peer %s", (_name, extensions) => {
  test.each(before)("%s: nobody has it, everybody is tried again", async (_what, script) => {
    const house = await openHouse({ script: { extensions, ...script } });
    const result = await house.deliver({ to });
    expect(shortOf(result)).toEqual(["deferred 4.5.0", "deferred 4.5.0"]);
    expect([result.dsn, house.upstream.received]).toEqual([null, []]);
    await eventually(() => expect(house.upstream.open()).toBe(0));
  });

  test.each(atDot)("%s to the dot: nobody knows whether it was taken", async (_what, script) => {
    const house = await openHouse({ script: { extensions, ...script } });
    const result = await house.deliver({ to });
    expect(shortOf(result)).toEqual(["deferred 4.4.2 indeterminate", "deferred 4.4.2 indeterminate"]);
    expect(result.dsn).toBeNull();
    await eventually(() => expect(house.upstream.open()).toBe(0));
  });
});

test("a reply too many to one message decides nothing about the message behind it", async () => {
  const house = await openHouse({
    script: { end: (_message, n) => (n === 0 ? "250 2.0.0 Queued\n550 5.7.1 no" : undefined) },
    url: "smtp://127.0.0.1:PORT?connections=1",
  });
  const [first, second] = [house.push(), house.push()];
  await house.spool.settled(2);
  expect(shortOf(house.spool.resultOf(first) as never)).toEqual(["deferred 4.4.2 indeterminate"]);
  expect(shortOf(house.spool.resultOf(second) as never)).toEqual(["delivered 250 2.0.0"]);
});

test("a second greeting is no answer to EHLO", async () => {
  const breaker = { failures: 1, firstPauseMs: 60_000, longestPauseMs: 60_000 };
  const house = await openHouse({ script: { greeting: "220 hello\n220 hello again" }, tuning: { breaker } });
  expect(shortOf(await house.deliver())).toEqual(["deferred 4.5.0"]);
  expect(house.upstream.commands.join()).not.toContain("MAIL");
});

test("a reply nobody waits for ends the connection, and the next message goes on another", async () => {
  const house = await openHouse({
    script: { end: (_message, n) => (n === 0 ? (socket) => socket.write("250 ok\r\n", late(socket)) : undefined) },
  });
  expect(shortOf(await house.deliver())).toEqual(["delivered 250"]);
  await eventually(() => expect(house.upstream.open()).toBe(0));
  expect(shortOf(await house.deliver())).toEqual(["delivered 250 2.0.0"]);
});

const late = (socket: { write(text: string): void }) => () =>
  void setTimeout(() => socket.write("550 5.7.1 no\r\n"), 50);

test("421 may come at any time, behind another reply too", async () => {
  const house = await openHouse({ script: { end: () => "250 2.0.0 Queued\n421 4.3.2 closing" } });
  expect(shortOf(await house.deliver())).toEqual(["delivered 250 2.0.0"]);
});

describe("control", () => {
  afterEach(() => {
    vi.restoreAllMocks();
    vi.doUnmock("../../src/delivery/outcome.ts");
    vi.resetModules();
  });

  test("a line that reads as the library does takes another command's answer", async () => {
    const { _processResponse } = SMTPConnection.prototype as unknown as Pick<Line, "_processResponse">;
    vi.spyOn(Line.prototype, "_processResponse").mockImplementation(_processResponse);
    const house = await openHouse({ script: { end: () => "250 2.0.0 Queued\n554 5.7.1 no" } });
    expect(shortOf(await house.deliver({ to }))).toEqual(["delivered 250 2.0.0", "delivered 250 2.0.0"]);
  });

  test("a worker that believes what came before the step was lost bounces for another's answer", async () => {
    vi.resetModules();
    type Outcome = typeof import("../../src/delivery/outcome.ts");
    vi.doMock("../../src/delivery/outcome.ts", async (original) => {
      const real = await original<Outcome>();
      const believing = ({ failure, ...rest }: Exchange) =>
        real.decide({ ...rest, failure: failure && { ...failure, why: "protocol" } });
      return { ...real, decide: believing };
    });
    const { openHouse: openOther } = await import("./house.ts");
    const rcpt = (line: string) => (isFirst(line) ? "550 5.1.1 no" : "250 ok\n250 ok");
    const result = await (await openOther({ script: { extensions: [], rcpt } })).deliver({ to });
    expect(shortOf(result)).toContain("bounced 550 5.1.1");
  });
});
