import fc from "fast-check";
import { expect, test } from "vitest";
import { plainArray, textArray } from "../../src/platform/plain-array.ts";
import { testDatabase } from "../support/database.ts";

const { pool } = await testDatabase();
const read = async (literal: string) => (await pool.query("select $1::text[] as list", [literal])).rows[0].list;

// PostgreSQL's text knows no NUL (22021), and a lone surrogate is no character.
const text = fc.oneof(
  fc.constantFrom("", "NULL", "null", '"', "\\", '\\"', "{", "}", ",", " ", "\n", "a,b", '","'),
  fc.string({ unit: "binary" }).map((any) => any.replaceAll("\0", "").toWellFormed()),
);

test("any text comes back from PostgreSQL as it was, and null as null", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.option(text)), async (list) => {
      expect(await read(textArray(list))).toEqual(list);
    }),
    { numRuns: 300 },
  );
});

test("control: without quotes text comes back as something else", async () => {
  expect(await read(plainArray(["a,b", "NULL"]))).toEqual(["a", "b", null]);
});
