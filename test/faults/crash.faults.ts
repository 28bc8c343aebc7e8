/** kill -9 of the relay, all its processes at once, at random moments under load and at the chosen points of a message's way. */
import { expect, inject, test } from "vitest";
import { mutateFunction, mutateProgram } from "../support/mutant.ts";
import { killAtPoints, points } from "./crash-points.ts";
import { killAtRandom } from "./crash-random.ts";
import { show } from "./figures.ts";

const LIMIT_MS = 20 * 60_000;

for (const processes of [1, 2]) {
  test(
    `kill -9 at random moments under load, ${processes} process(es): nothing acknowledged is lost, nothing is charged twice`,
    async ({ task }) => {
      const { faults, figures } = await killAtRandom({ kills: 30, processes, seed: inject("seed") });
      show(task, "P2, P3", figures);
      expect(faults).toEqual([]);
      expect(figures["of these stored"]).toBeLessThanOrEqual(figures.unanswered);
    },
    LIMIT_MS,
  );
}

for (const point of Object.keys(points)) {
  for (const processes of [1, 2]) {
    test(
      `kill -9 ${point}, ${processes} process(es): nothing acknowledged is lost, nothing is charged twice`,
      async ({ task }) => {
        const { faults, figures } = await killAtPoints(Array(5).fill(point), { processes });
        show(task, "P2, P3", figures);
        expect(faults).toEqual([]);
      },
      LIMIT_MS,
    );
  }
}

test(
  "control: a 250 that leaves before the commit is lost mail, and the books show it",
  async ({ task }) => {
    const program = mutateProgram("src/spool/accept.ts", {
      from: "        waiting.push({ submission, answer, rolled: 0 });\n",
      to: `        answer({ kind: "accepted", id: submission.id });
        waiting.push({ submission, answer: () => {}, rolled: 0 });\n`,
    });
    const { faults, figures } = await killAtPoints(["before the accept call"], { processes: 1, program });
    show(task, "P2", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(/^msg_\w+ was acknowledged, but is not charged$/));
  },
  LIMIT_MS,
);

test(
  "control: a result that is answered and not stored brings a message twice, and the copies show it",
  async ({ task }) => {
    const { faults, figures } = await killAtPoints(["after its result is stored"], {
      processes: 1,
      prepare: ({ database }) =>
        mutateFunction(database, "settle_batch", { from: "  done := array(", to: "  return;\n  done := array(" }),
    });
    show(task, "P3", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(/ came 2 times instead of 1$/));
  },
  LIMIT_MS,
);
