/** The parsers with inputs of all sorts until the time is over. A seed gives the same inputs again. */
import fc from "fast-check";
import { inject, test } from "vitest";
import { properties } from "../fuzz/properties.ts";
import { show } from "./figures.ts";

const ROUND = 2000;

test("no input breaks a parser", async ({ task }) => {
  const until = performance.now() + inject("minutes") * 60_000;
  let seed = inject("seed");
  let inputs = 0;
  do {
    for (const property of Object.values(properties)) {
      await fc.assert(property as fc.IAsyncProperty<never>, { numRuns: ROUND, seed });
      inputs += ROUND;
    }
    seed++;
  } while (performance.now() < until);
  show(task, "all", { inputs, properties: Object.keys(properties).length, "last seed": seed - 1 });
}, 86_400_000);
