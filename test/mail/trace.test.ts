import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isoSecond, messageDate } from "../../src/mail/date.ts";
import { type Hop, receivedField } from "../../src/mail/trace.ts";

const hop: Hop = {
  greetedAs: "app.customer.example",
  clientAddress: "192.0.2.7",
  hostname: "relay.example",
  id: "msg_01",
  at: new Date("2026-11-22T05:27:00.123Z"),
  tls: true,
  authenticated: true,
  smtpUtf8: false,
};

describe("the Received field", () => {
  test("tells who, how and when", () => {
    expect(receivedField(hop)).toBe(
      "Received: from app.customer.example ([192.0.2.7])\r\n\tby relay.example with ESMTPSA id msg_01;\r\n\tSun, 22 Nov 2026 05:27:00 +0000\r\n",
    );
  });

  test.each([
    [{ tls: false }, "with ESMTPA "],
    [{ smtpUtf8: true }, "with UTF8SMTPSA "],
    [{ authenticated: false }, "with ESMTPS "],
    [{ clientAddress: "2001:db8::1" }, "([IPv6:2001:db8::1])"],
    [{ greetedAs: "[192.0.2.1]" }, "from [192.0.2.1] ("],
    [{ greetedAs: "[IPv6:2001:db8::1]" }, "from [IPv6:2001:db8::1] ("],
    [{ greetedAs: "evil (by relay)" }, "from unknown ("],
    [{ greetedAs: "x\r\nBcc: y" }, "from unknown ("],
    [{ greetedAs: "" }, "from unknown ("],
    [{ greetedAs: "a".repeat(300) }, "from unknown ("],
  ])("%j gives %s", (change, part) => {
    expect(receivedField({ ...hop, ...change })).toContain(part);
  });

  test("no EHLO name breaks out of its place", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (greetedAs) => {
        expect(receivedField({ ...hop, greetedAs })).toMatch(
          /^Received: from [A-Za-z0-9._:[\]-]+ \(\[192\.0\.2\.7\]\)\r\n\tby relay\.example with ESMTPSA id msg_01;\r\n\t[^\r\n]+\r\n$/,
        );
      }),
    );
  });
});

test("dates are in UTC", () => {
  expect(messageDate(new Date("2026-01-02T03:04:05Z"))).toBe("Fri, 02 Jan 2026 03:04:05 +0000");
  expect(isoSecond(new Date("2026-12-01T00:00:00.000Z"))).toBe("2026-12-01T00:00:00Z");
});
