/** No wrong bill (P3): a period that changes in the middle of a load. Every kind of day, and all controls: time.faults.ts. */
import { expect, test } from "vitest";
import { unguarded } from "../support/tampering.ts";
import { changeUnderLoad } from "./time.ts";
import { judge } from "./time-judge.ts";
import { nodeAhead } from "./time-stage.ts";
import { skippedMidnight } from "./time-zones.ts";

test("a period that changes under load is billed to the unit, on a day of summer time and with a node whose clock is 90 s off", async () => {
  const { faults, figures, stage } = await changeUnderLoad({ moment: skippedMidnight, others: [nodeAhead(90_000)] });
  expect(faults).toEqual([]);
  expect(figures).toMatchObject({ masters: 3, nodes: 2, statements: 6, "closed under load": 3 });
  // Control: one message in the other period would be seen.
  await unguarded(stage.scene.database);
  await stage.scene.database.pool.query(
    "update usage_entry set period_start = $1 where id = (select id from usage_entry where period_start <> $1 and kind = 'accept' limit 1)",
    [stage.turn],
  );
  expect((await judge(stage)).faults).toContainEqual(
    expect.stringMatching(/ was acknowledged before the change, and is charged after it$/),
  );
});
