import { describe, expect, test } from "vitest";
import { untried, type Verdict } from "../../src/delivery/outcome.ts";
import type { Held } from "../../src/delivery/parcel.ts";
import { conclude } from "../../src/delivery/report.ts";
import { makeTask } from "./played-spool.ts";

const now = new Date("2026-11-22T12:00:00Z");
const later = new Date("2026-11-23T12:00:00Z");
const circumstances = { now, scheduleMs: [300_000], jitter: 0 };

const verdict = (kind: Verdict["kind"], code: number | null = null, indeterminate = false): Verdict => ({
  kind,
  code,
  enhanced: null,
  text: "said so",
  indeterminate,
});
const delivered = verdict("delivered", 250);
const deferred = verdict("deferred", 451);
const bounced = verdict("bounced", 550);

type Given = Parameters<typeof makeTask>[0] & {
  verdicts: Verdict[];
  notify?: string | null;
  dsn?: boolean;
  delayMs?: number;
};

function makeHeld({ verdicts, notify = null, dsn = false, delayMs = 0, ...given }: Given): Held {
  const to = verdicts.map((_, i) => `r${i}@x.example`);
  const task = makeTask({ expiresAt: later, to, ...given });
  const findings = task.recipients.map((recipient, i) => ({
    recipient: { ...recipient, notify },
    verdict: verdicts[i] as Verdict,
    remote: "mx.example",
    dsn,
  }));
  const held = { task, fresh: true, route: "smtp://mx.example:25", leasedUntilMs: 0, state: "begun" as const };
  return { ...held, begunAtMs: 0, open: 0, findings, delayMs };
}

const concluded = (given: Given) => conclude(makeHeld(given), circumstances);

test("what is settled leaves no due time; what is deferred is due again by the schedule", () => {
  expect(concluded({ verdicts: [delivered, bounced] })?.result.dueAt).toBeNull();
  expect(concluded({ verdicts: [delivered, deferred] })?.result.dueAt).toEqual(new Date("2026-11-22T12:05:00Z"));
});

test("nothing tried is no result", () => {
  expect(concluded({ verdicts: [untried, untried] })).toBeUndefined();
});

test("recipients not tried are not named, and stay due", () => {
  const result = concluded({ verdicts: [delivered, untried], delayMs: 60_000 })?.result;
  expect(result?.recipients.map(({ n }) => n)).toEqual([0]);
  expect(result?.dueAt).toEqual(new Date("2026-11-22T12:01:00Z"));
});

test("an expired message is not deferred again: it is given up, and the sender is told the last reason", () => {
  const conclusion = concluded({ verdicts: [deferred], expiresAt: now });
  expect(conclusion?.result).toMatchObject({
    dueAt: null,
    recipients: [{ state: "bounced", attempt: { outcome: "expired" } }],
  });
  expect(conclusion?.report).toMatchObject([{ action: "failed", status: "4.4.7", diagnostic: "451 said so" }]);
});

test("an indeterminate result binds the next attempt to its route", () => {
  expect(concluded({ verdicts: [verdict("deferred", null, true)] })?.result).toMatchObject({
    route: "smtp://mx.example:25",
    recipients: [{ attempt: { indeterminate: true } }],
  });
  expect(concluded({ verdicts: [deferred] })?.result.route).toBeNull();
});

describe("who is told", () => {
  const reported = (given: Given) => concluded(given)?.report.map(({ action }) => action);

  test.each<[string | null, Verdict, boolean, string[]]>([
    [null, bounced, false, ["failed"]],
    [null, bounced, true, ["failed"]],
    [null, delivered, false, []],
    [null, deferred, false, []],
    ["NEVER", bounced, false, []],
    ["NEVER", delivered, false, []],
    ["FAILURE", bounced, false, ["failed"]],
    ["SUCCESS", bounced, false, []],
    ["SUCCESS", delivered, false, ["relayed"]],
    ["SUCCESS", delivered, true, []],
    ["success,failure", delivered, false, ["relayed"]],
    ["SUCCESS,FAILURE", bounced, false, ["failed"]],
    ["DELAY", bounced, false, []],
    ["DELAY", deferred, false, []],
  ])("NOTIFY=%s, %j, to a peer that reports itself: %s", (notify, outcome, dsn, expected) => {
    expect(reported({ verdicts: [outcome], notify, dsn })).toEqual(expected);
  });

  test("nobody, for the null sender and for a report, whatever NOTIFY says", () => {
    for (const notify of [null, "FAILURE", "SUCCESS,FAILURE"]) {
      expect(reported({ verdicts: [bounced], sender: "", notify })).toEqual([]);
      expect(reported({ verdicts: [bounced], kind: "dsn", notify })).toEqual([]);
    }
  });

  test("each recipient by its own wish, in one report", () => {
    expect(concluded({ verdicts: [bounced, delivered, bounced] })?.report.map(({ address }) => address)).toEqual([
      "r0@x.example",
      "r2@x.example",
    ]);
  });
});
