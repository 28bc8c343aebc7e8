import { describe, expect, test } from "vitest";
import { replyText } from "../../src/mail/reply.ts";
import { accountInactive, accountMayNotSend, asError, overLimit } from "../../src/submission/replies.ts";

const resetsAt = new Date("2026-12-01T00:00:00Z");
const shown = (account: "subaccount" | "master", used: number, cap: number, units: number) => {
  const reply = overLimit({ account, used, cap, resetsAt }, units);
  return `${reply.code} ${replyText(reply)}`;
};

describe("over the limit", () => {
  test.each([
    [
      "subaccount",
      100,
      100,
      0,
      "550 5.4.5 Monthly limit reached: 100 of 100 used, resets 2026-12-01T00:00:00Z [QUOTA-SUBACCOUNT]",
    ],
    [
      "subaccount",
      100,
      100,
      5,
      "550 5.4.5 Monthly limit reached: 100 of 100 used, resets 2026-12-01T00:00:00Z [QUOTA-SUBACCOUNT]",
    ],
    [
      "subaccount",
      120,
      100,
      1,
      "550 5.4.5 Monthly limit reached: 120 of 100 used, resets 2026-12-01T00:00:00Z [QUOTA-SUBACCOUNT]",
    ],
    [
      "subaccount",
      0,
      0,
      0,
      "550 5.4.5 Monthly limit reached: 0 of 0 used, resets 2026-12-01T00:00:00Z [QUOTA-SUBACCOUNT]",
    ],
    [
      "subaccount",
      98,
      100,
      3,
      "550 5.4.5 3 recipients, but only 2 of 100 left until 2026-12-01T00:00:00Z [QUOTA-SUBACCOUNT]",
    ],
    ["master", 1000, 1000, 1, "550 5.4.5 Sending is paused for this account until 2026-12-01T00:00:00Z [QUOTA-MASTER]"],
    ["master", 999, 1000, 2, "550 5.4.5 2 recipients are more than this account may send now [QUOTA-MASTER]"],
  ] as const)("%s %i of %i, %i more", (account, used, cap, units, text) => {
    expect(shown(account, used, cap, units)).toBe(text);
  });
});

describe("an account that may not send", () => {
  test("is told its state and its master's words on one line", () => {
    expect(replyText(accountInactive({ state: "suspended", publicMessage: null }))).toBe("5.7.13 Account is suspended");
    expect(replyText(accountMayNotSend({ state: "disabled", publicMessage: "Pay\r\n250 first" }))).toBe(
      "5.7.1 Account is disabled: Pay 250 first",
    );
  });
});

describe("a support address", () => {
  const supportAddress = "help@acme.example";

  test("stands behind what programs read", () => {
    expect(replyText(accountInactive({ state: "suspended", publicMessage: null, supportAddress }))).toBe(
      "5.7.13 Account is suspended; contact help@acme.example",
    );
    expect(replyText(accountMayNotSend({ state: "disabled", publicMessage: "Please pay", supportAddress }))).toBe(
      "5.7.1 Account is disabled: Please pay; contact help@acme.example",
    );
    const over = { account: "master", used: 5, cap: 5, resetsAt } as const;
    expect(replyText(overLimit(over, 1, supportAddress))).toBe(
      "5.4.5 Sending is paused for this account until 2026-12-01T00:00:00Z [QUOTA-MASTER]; contact help@acme.example",
    );
    expect(replyText(overLimit({ ...over, account: "subaccount" }, 1, supportAddress))).toMatch(
      /\[QUOTA-SUBACCOUNT\]$/,
    );
  });

  test("that is long is left out, so that no line is longer than SMTP allows", () => {
    const long = `${"x".repeat(60)}@${"y".repeat(60)}.example`;
    const reply = replyText(
      accountInactive({ state: "disabled", publicMessage: "z".repeat(300), supportAddress: long }),
    );
    expect(reply).not.toContain("contact");
    const most = accountInactive({
      state: "disabled",
      publicMessage: "z".repeat(300),
      supportAddress: `${"x".repeat(91)}@y.example`,
    });
    expect(replyText(most).length).toBeLessThan(500);
  });
});

test("the library gets code and text", () => {
  expect(asError({ code: 550, detail: "7.1", text: "x" })).toMatchObject({ responseCode: 550, message: "5.7.1 x" });
});
