/** kill -9 of the relay, all its processes at once, at random moments under load and at the chosen points of a message's way. */
import { expect, inject, test } from "vitest";
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
