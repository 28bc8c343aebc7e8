/** No loss (P2), no wrong bill (P3): a relay killed at each chosen point of a message's way. The long run: crash.faults.ts. */
import { expect, test } from "vitest";
import { type Copy, copiesAgainstRecords } from "./crash-kill.ts";
import { killAtPoints, points } from "./crash-points.ts";

test("a relay killed at each point of a message's way, has lost nothing and charged nothing twice", async () => {
  const { faults, figures, scene, copies } = await killAtPoints(Object.keys(points), { processes: 1 });
  expect(faults).toEqual([]);
  expect(figures.kills).toBe(6);
  // Control: one more copy of what is recorded would be seen.
  const [first] = copies as [Copy];
  expect(await copiesAgainstRecords(scene.database, [{ ...first, atMs: Date.now() }])).toContainEqual(
    expect.stringMatching(/ was recorded as delivered, and came again$/),
  );
});
