/** No loss (P2), no wrong bill (P3): a relay killed at each chosen point of a message's way. The long run: crash.faults.ts. */
import { expect, test } from "vitest";
import { mutateFunction, mutateProgram } from "../support/mutant.ts";
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

test("control: a 250 that leaves before the commit is lost mail, and the books show it", async () => {
  const program = mutateProgram("src/spool/accept.ts", {
    from: "        waiting.push({ submission, answer, rolled: 0 });\n",
    to: `        answer({ kind: "accepted", id: submission.id });
        waiting.push({ submission, answer: () => {}, rolled: 0 });\n`,
  });
  const { faults } = await killAtPoints(["before the accept call"], { processes: 1, program });
  expect(faults).toContainEqual(expect.stringMatching(/^msg_\w+ was acknowledged, but is not charged$/));
});

test("control: a result that is answered and not stored brings a message twice, and the copies show it", async () => {
  const { faults } = await killAtPoints(["after its result is stored"], {
    processes: 1,
    prepare: ({ database }) =>
      mutateFunction(database, "settle_batch", { from: "  done := array(", to: "  return;\n  done := array(" }),
  });
  expect(faults).toContainEqual(expect.stringMatching(/ came 2 times instead of 1$/));
});
