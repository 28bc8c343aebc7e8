import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type OwnState,
  ownStates,
  type StateFacts,
  shownState,
  shownStates,
  stateActions,
  subaccountMoves,
} from "../../src/accounts/states.ts";

const now = new Date("2026-11-22T12:00:00Z");
const later = new Date("2026-11-23T12:00:00Z");
const active: StateFacts = { state: "active", suspendedAt: null, expiresAt: null };

test.each([
  ["nothing bars it", [active, active], "active"],
  ["it is disabled", [{ ...active, state: "disabled" }, active], "disabled"],
  ["it is suspended while disabled", [{ ...active, state: "disabled", suspendedAt: now }, active], "suspended"],
  ["its end date has come", [{ ...active, expiresAt: now }, active], "expired"],
  ["its end date is still to come", [{ ...active, expiresAt: later }, active], "active"],
  ["it is closed while suspended", [{ ...active, state: "closed", suspendedAt: now }, active], "closed"],
  ["its master is suspended", [active, { ...active, suspendedAt: now }], "suspended"],
  [
    "its master is closed",
    [
      { ...active, state: "pending" },
      { ...active, state: "closed" },
    ],
    "closed",
  ],
  ["its master's end date has come", [active, { ...active, expiresAt: now }], "expired"],
] as [string, StateFacts[], string][])("the state shown is the strongest: %s", (_, facts, shown) => {
  expect(shownState(now, ...facts)).toBe(shown);
});

test("an account is shown active exactly when nothing bars it", () => {
  const facts = fc.record({
    state: fc.constantFrom(...ownStates),
    suspendedAt: fc.option(fc.constant(now)),
    expiresAt: fc.option(fc.constantFrom(now, later)),
  });
  fc.assert(
    fc.property(fc.array(facts, { minLength: 1, maxLength: 2 }), (all) => {
      const barred = all.some((one) => one.state !== "active" || one.suspendedAt !== null || one.expiresAt === now);
      expect(shownState(now, ...all) === "active").toBe(!barred);
      expect(shownStates).toContain(shownState(now, ...all));
    }),
  );
});

test("an action that was done can be repeated: the state it leads to keeps it", () => {
  for (const action of stateActions) {
    for (const [from, move] of Object.entries(subaccountMoves[action])) {
      const reached: OwnState[] =
        move === "before" ? ["pending", "active", "disabled"] : ([move === "stays" ? from : move] as OwnState[]);
      for (const state of reached)
        expect([action, state, subaccountMoves[action][state]]).toEqual([action, state, "stays"]);
    }
  }
});
