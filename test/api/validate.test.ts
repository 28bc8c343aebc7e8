import { z } from "@hono/zod-openapi";
import { describe, expect, test } from "vitest";
import { Problem } from "../../src/api/problem.ts";
import { pointerOf, read } from "../../src/api/validate.ts";

const schema = z.strictObject({
  name: z.string(),
  "a/b~c": z.number().optional(),
  list: z.array(z.strictObject({ deep: z.int() })).optional(),
});

function mistakesOf(value: unknown) {
  try {
    read(schema, value);
    return [];
  } catch (error) {
    return error instanceof Problem ? error.mistakes : Promise.reject(error);
  }
}

describe("validation", () => {
  test("every wrong member is pointed at, all in one answer", async () => {
    const value = { list: [{ deep: 1 }, { deep: "x", more: 1 }], unknown: true, "a/b~c": "no" };
    expect((await mistakesOf(value)).map(({ pointer }) => pointer).sort()).toEqual(
      ["/a~1b~0c", "/list/1/deep", "/list/1/more", "/name", "/unknown"].sort(),
    );
  });

  test("a member that is missing is said to be required", async () => {
    expect(await mistakesOf({})).toEqual([{ pointer: "/name", detail: "This member is required." }]);
  });

  test("members that JavaScript knows of every object are unknown like any other", async () => {
    const value = JSON.parse('{"name": "x", "__proto__": {"list": 1}, "constructor": 1}');
    expect((await mistakesOf(value)).map(({ pointer }) => pointer)).toEqual(["/__proto__", "/constructor"]);
    expect(({} as { list?: unknown }).list).toBeUndefined();
  });

  test.each([null, [], "text", 1, true])("%j in place of an object points at the whole body", async (value) => {
    expect((await mistakesOf(value))[0]?.pointer).toBe("");
  });

  test("pointers escape as RFC 6901 says", () => {
    expect(pointerOf(["a/b", "m~n", 0])).toBe("/a~1b/m~0n/0");
  });
});
