import fc from "fast-check";
import { expect, test } from "vitest";
import { replyText } from "../../src/mail/reply.ts";

test("the class of the enhanced code is that of the reply code", () => {
  fc.assert(
    fc.property(fc.integer({ min: 200, max: 599 }), (code) => {
      expect(replyText({ code, detail: "4.5", text: "Because" })).toBe(`${String(code)[0]}.4.5 Because`);
    }),
  );
});
