import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide, decideFailure, type Exchange, type Failure, parseReply, plain } from "../../src/delivery/outcome.ts";

const lost: Failure = { why: "lost", text: "Connection closed", reply: null };
const full = "452 4.5.3 Too many recipients";

function exchange(given: Partial<Exchange>): Exchange {
  return { mail: null, rcpt: [null], data: null, end: null, dotSent: false, failure: null, ...given };
}
const accepted = { mail: "250 ok", rcpt: ["250 ok"] };
const sent = { ...accepted, data: "354 go", dotSent: true };
const kindsOf = (given: Partial<Exchange>) => decide(exchange(given)).map(({ kind }) => kind);

describe("one recipient", () => {
  test.each<[string, Partial<Exchange>, string, number | null]>([
    ["2xx to the end", { ...sent, end: "250 2.0.0 queued" }, "delivered", 250],
    ["4xx to MAIL", { mail: "450 4.7.1 Greylisted" }, "deferred", 450],
    ["5xx to MAIL", { mail: "550 5.7.1 Sender rejected" }, "bounced", 550],
    ["421 to MAIL", { mail: "421 4.3.2 Closing" }, "deferred", 421],
    ["authentication wanted at MAIL", { mail: "530 5.7.0 Authentication required" }, "deferred", 530],
    ["4xx to RCPT", { mail: "250 ok", rcpt: ["451 4.2.1 later"], data: "554 none" }, "deferred", 451],
    ["5xx to RCPT", { mail: "250 ok", rcpt: ["550 5.1.1 unknown"], data: "554 none" }, "bounced", 550],
    ["421 to RCPT", { mail: "250 ok", rcpt: ["421 closing"], failure: lost }, "deferred", 421],
    ["bad sequence at RCPT", { mail: "250 ok", rcpt: ["503 5.5.1 Need MAIL"] }, "deferred", 503],
    ["4xx to DATA", { ...accepted, data: "451 4.3.0 later" }, "deferred", 451],
    ["5xx to DATA", { ...accepted, data: "554 5.7.1 no" }, "bounced", 554],
    ["2xx to DATA", { ...accepted, data: "250 what?" }, "deferred", 250],
    ["4xx to the end", { ...sent, end: "452 4.2.2 over quota" }, "deferred", 452],
    ["5xx to the end", { ...sent, end: "554 5.6.0 spam" }, "bounced", 554],
    ["421 to the end", { ...sent, end: "421 4.3.2 closing" }, "deferred", 421],
    ["3xx to the end", { ...sent, end: "354 again?" }, "deferred", 354],
    ["no code at the end", { ...sent, end: "what is this" }, "deferred", null],
    ["lost before MAIL was answered", { failure: lost }, "deferred", null],
    ["lost before RCPT was answered", { mail: "250 ok", failure: lost }, "deferred", null],
    ["lost before DATA was answered", { ...accepted, failure: lost }, "deferred", null],
    ["lost in the message", { ...accepted, data: "354 go", failure: lost }, "deferred", null],
    ["lost after the dot", { ...sent, failure: lost }, "deferred", null],
    ["our own end before the dot", { ...accepted, failure: { ...lost, why: "aborted" } }, "untried", null],
    ["mailbox full at RCPT", { mail: "250 ok", rcpt: ["552 5.2.2 mailbox full"] }, "bounced", 552],
    ["too many recipients, none taken", { mail: "250 ok", rcpt: [full] }, "deferred", 452],
    ["552 too many, none taken", { mail: "250 ok", rcpt: ["552 5.5.3 too many"] }, "deferred", 552],
  ])("%s", (_name, given, kind, code) => {
    expect(decide(exchange(given))).toEqual([expect.objectContaining({ kind, code })]);
  });
});

test("only a lost connection after the final dot is indeterminate", () => {
  const [after] = decide(exchange({ ...sent, failure: lost }));
  expect(after).toMatchObject({ kind: "deferred", indeterminate: true });
  for (const given of [
    { ...accepted, data: "354 go", failure: lost },
    { ...sent, end: "451 later", failure: lost },
  ]) {
    expect(decide(exchange(given))[0]).toMatchObject({ kind: "deferred", indeterminate: false });
  }
  const aborted: Failure = { why: "aborted", text: "shutting down", reply: null };
  expect(decide(exchange({ ...sent, failure: aborted }))[0]).toMatchObject({ kind: "deferred", indeterminate: true });
});

test("each recipient gets its own verdict, and those accepted share that of the message", () => {
  const rcpt = ["250 ok", "550 5.1.1 unknown", "450 4.2.0 busy", "250 ok"];
  expect(kindsOf({ mail: "250 ok", rcpt, data: "354 go", dotSent: true, end: "250 ok" })).toEqual([
    "delivered",
    "bounced",
    "deferred",
    "delivered",
  ]);
  expect(kindsOf({ mail: "250 ok", rcpt, data: "354 go", dotSent: true, end: "554 no" })).toEqual([
    "bounced",
    "bounced",
    "deferred",
    "bounced",
  ]);
});

test("recipients beyond what one transaction takes go in another", () => {
  const rcpt = ["250 ok", full, "452 no more", "552 5.5.3 too many", "452 4.2.2 over quota"];
  const kinds = kindsOf({ mail: "250 ok", rcpt, data: "354 go", dotSent: true, end: "250 ok" });
  expect(kinds).toEqual(["delivered", "another", "another", "another", "deferred"]);
});

test("a 421 in the middle defers what was accepted and what was not answered, and keeps what was refused for good", () => {
  const failure: Failure = { why: "closing", text: "closing", reply: "421 4.3.2 Shutting down" };
  const rcpt = ["250 ok", "550 5.1.1 unknown", "421 4.3.2 Shutting down", null];
  const verdicts = decide(exchange({ mail: "250 ok", rcpt, failure }));
  expect(verdicts.map(({ kind }) => kind)).toEqual(["deferred", "bounced", "deferred", "deferred"]);
  expect(verdicts[3]).toMatchObject({ code: 421, text: "Shutting down" });
});

test.each<Failure["why"]>(["connect", "dns", "tls", "auth", "greeting", "lost", "timeout", "protocol", "closing"])(
  "a session that fails at %s defers, even when the reply is a 5xx",
  (why) => {
    const verdict = decideFailure({ why, text: "no", reply: "554 5.7.1 Go away" });
    // A refusal of our login may repeat the login.
    const text = why === "auth" ? "The next host refused our login" : "Go away";
    expect(verdict).toMatchObject({ kind: "deferred", code: 554, enhanced: "4.7.1", text });
    expect(decideFailure({ why, text: "no", reply: null })).toMatchObject({ kind: "deferred", code: null });
  },
);

test("a domain that takes no mail bounces", () => {
  const verdict = decideFailure({ why: "dns", text: "takes no mail", reply: null, permanent: "5.1.10" });
  expect(verdict).toMatchObject({ kind: "bounced", enhanced: "5.1.10" });
});

test.each([
  ["250 2.0.0 Ok: queued", { code: 250, enhanced: "2.0.0", text: "Ok: queued" }],
  ["250 Ok", { code: 250, enhanced: null, text: "Ok" }],
  ["250", { code: 250, enhanced: null, text: "" }],
  ["550-5.1.1 No such\n550 5.1.1 user", { code: 550, enhanced: "5.1.1", text: "No such user" }],
  ["550 5.1.1", { code: 550, enhanced: "5.1.1", text: "" }],
  ["550 1.2.3.4 is listed", { code: 550, enhanced: null, text: "1.2.3.4 is listed" }],
  ["hello", { code: 0, enhanced: null, text: "hello" }],
  ["999 what", { code: 0, enhanced: null, text: "999 what" }],
])("%j is read", (raw, expected) => {
  expect(parseReply(raw)).toEqual(expected);
});

test("what is kept of a reply can be stored: no control characters, whole characters, at most 500", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 1200 }), (raw) => {
      const { text } = parseReply(raw);
      return text.length <= 500 && text.isWellFormed() && !/\p{Cc}/u.test(text) && text === plain(text);
    }),
  );
});

const anyReply = fc.oneof(
  fc.integer({ min: 100, max: 699 }).map((code) => `${code} text`),
  fc.constantFrom("250 ok", "354 go", "421 closing", full, "550 5.1.1 no", "451 4.3.0 later"),
);
const anyExchange = fc.record({
  mail: fc.option(anyReply),
  rcpt: fc.array(fc.option(anyReply), { minLength: 1, maxLength: 6 }),
  data: fc.option(anyReply),
  end: fc.option(anyReply),
  dotSent: fc.boolean(),
  failure: fc.option(fc.constant(lost)),
});

test("whatever comes, every recipient gets one verdict, delivered only by a 2xx to the end and its own 2xx", () => {
  fc.assert(
    fc.property(anyExchange, (given) => {
      const verdicts = decide(given);
      expect(verdicts).toHaveLength(given.rcpt.length);
      for (const [i, { kind, code, indeterminate }] of verdicts.entries()) {
        if (kind === "delivered") {
          expect(given.end?.startsWith("2") && given.rcpt[i]?.startsWith("2")).toBe(true);
        }
        if (kind === "bounced") expect(code).toBeGreaterThanOrEqual(500);
        if (indeterminate) expect(given.end === null ? given.dotSent : !/^[245]/.test(given.end)).toBe(true);
        if (kind === "another") expect(given.rcpt.some((reply) => reply?.startsWith("2"))).toBe(true);
      }
    }),
  );
});
