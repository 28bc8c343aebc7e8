import { describe, expect, test } from "vitest";
import { readMailParameters, readRcptParameters } from "../../src/mail/envelope.ts";

describe("parameters of MAIL", () => {
  test.each([
    [{}, { eightBit: false, smtpUtf8: false, ret: null, envelopeId: null }],
    [
      { BODY: "8bitmime", SMTPUTF8: true as const },
      { eightBit: true, smtpUtf8: true },
    ],
    [
      { RET: "hdrs", ENVID: "QQ314159" },
      { ret: "HDRS", envelopeId: "QQ314159" },
    ],
    [{ SIZE: "1000", AUTH: "<>" }, {}],
  ])("%j", (parameters, value) => {
    expect(readMailParameters(parameters)).toMatchObject({ kind: "read", value });
  });

  test.each([
    [{ BODY: "BINARYMIME" }, 501, "BODY must be 7BIT or 8BITMIME"],
    [{ BODY: true as const }, 501, "BODY"],
    [{ SMTPUTF8: "yes" }, 501, "SMTPUTF8 takes no value"],
    [{ SIZE: "-1" }, 501, "SIZE must be a number of octets"],
    [{ RET: "ALL" }, 501, "RET must be FULL or HDRS"],
    [{ ENVID: "x".repeat(101) }, 501, "ENVID must be"],
    [{ ENVID: "\u00e9" }, 501, "ENVID must be"],
    [{ "MT-PRIORITY": "3" }, 555, "Parameter MT-PRIORITY not recognized"],
    [{ REQUIRETLS: true as const }, 555, "Parameter REQUIRETLS not recognized"],
    [{ "<EVIL>": "x" }, 555, "Parameter not recognized"],
    [{ NOTIFY: "NEVER" }, 555, "Parameter NOTIFY not recognized"],
  ])("%j is refused with %i", (parameters, code, text) => {
    const result = readMailParameters(parameters as never);
    expect(result).toMatchObject({ kind: "refused", reply: { code, detail: "5.4" } });
    expect(result.kind === "refused" && result.reply.text).toContain(text);
  });
});

describe("parameters of RCPT", () => {
  test.each([
    [{}, { notify: null, originalRecipient: null }],
    [
      { NOTIFY: "success,Failure", ORCPT: "rfc822;a@b.example" },
      { notify: "SUCCESS,FAILURE", originalRecipient: "rfc822;a@b.example" },
    ],
    [{ NOTIFY: "never" }, { notify: "NEVER" }],
  ])("%j", (parameters, value) => {
    expect(readRcptParameters(parameters)).toMatchObject({ kind: "read", value });
  });

  test.each([
    [{ NOTIFY: "NEVER,FAILURE" }, 501],
    [{ NOTIFY: "" }, 501],
    [{ NOTIFY: true as const }, 501],
    [{ ORCPT: "a@b.example" }, 501],
    [{ ORCPT: `rfc822;${"x".repeat(500)}` }, 501],
    [{ RRVS: "2026-11-22" }, 555],
    [{ SIZE: "1" }, 555],
  ])("%j is refused with %i", (parameters, code) => {
    expect(readRcptParameters(parameters as never)).toMatchObject({ kind: "refused", reply: { code, detail: "5.4" } });
  });
});
