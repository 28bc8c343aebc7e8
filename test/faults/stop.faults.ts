/** SIGTERM under load, one process and two, again and again, with clients in the middle of a message; rolling restarts. */
import { expect, inject, test } from "vitest";
import { restartInTurn } from "../journeys/rolling.ts";
import { mutateProgram } from "../support/mutant.ts";
import { show } from "./figures.ts";
import { stopUnderLoad, stopWhileAllHang } from "./stop.ts";

const LIMIT_MS = 20 * 60_000;
const TWICE = { stops: 2, processes: 1 } as const;

for (const processes of [1, 2]) {
  test(
    `SIGTERM under load, ${processes} process(es): ends in 30 s, who is in the middle of a message gets its 250, nothing is lost or doubled`,
    async ({ task }) => {
      const { faults, figures } = await stopUnderLoad({ stops: 15, processes, seed: inject("seed") });
      show(task, "P2, P3", figures);
      expect(faults).toEqual([]);
    },
    LIMIT_MS,
  );
  test(
    `SIGTERM while clients and upstream hang, ${processes} process(es): ends in 30 s, nothing unfinished is stored`,
    async ({ task }) => {
      const { faults, figures } = await stopWhileAllHang({ processes });
      show(task, "P2, P3", figures);
      expect(faults).toEqual([]);
    },
    LIMIT_MS,
  );
}

test(
  "control: a program that ends at once leaves messages without an answer or in its hands",
  async ({ task }) => {
    const program = mutateProgram("src/signals.ts", {
      from: "    told = true;\n    cutAfterDrain();\n",
      to: "    process.exit(0);\n",
    });
    const { faults, figures } = await stopUnderLoad({ ...TWICE, seed: inject("seed"), program });
    show(task, "P2", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(/ messages stayed in its hands$/));
    expect(faults).toContainEqual(expect.stringMatching(/, begun, unsent: /));
  },
  LIMIT_MS,
);

test(
  "control: a drain that cuts its clients off is seen by those in the middle of a message",
  async ({ task }) => {
    const program = mutateProgram("src/submission/server.ts", {
      from: "      if (all.size === 0) return;\n",
      to: "      for (const one of all) one.destroy();\n      if (all.size === 0) return;\n",
    });
    const { faults, figures } = await stopUnderLoad({ ...TWICE, seed: inject("seed"), program });
    show(task, "P2", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(/, begun, unsent: /));
  },
  LIMIT_MS,
);

test(
  "control: a drain that tells all of them 421 is seen by those in the middle of a message",
  async ({ task }) => {
    const program = mutateProgram("src/submission/server.ts", {
      from: "if (one.restful(performance.now())) one.reply(replies.shuttingDown);",
      to: "one.reply(replies.shuttingDown);",
    });
    const { faults, figures } = await stopUnderLoad({ ...TWICE, seed: inject("seed"), program });
    show(task, "P2", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(/, begun, refused: 421 /));
  },
  LIMIT_MS,
);

test(
  "control: a program that something keeps alive, and nothing cuts, is seen to pass the 30 s",
  async ({ task }) => {
    const program = mutateProgram("src/signals.ts", {
      from: "    cutAfterDrain();\n    resolve(signal);\n",
      to: "    setTimeout(() => {}, 600_000);\n    resolve(signal);\n",
    });
    const { faults, figures } = await stopUnderLoad({ stops: 1, processes: 1, seed: inject("seed"), program });
    show(task, "P2", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(/^the node took \d+ s to end$/));
  },
  LIMIT_MS,
);

test(
  "rolling restarts of two nodes, again and again: each message is taken, no client is turned away or told 421 in the middle",
  async ({ task }) => {
    const { faults, figures } = await restartInTurn(10);
    show(task, "P2, P3", figures);
    expect(faults).toEqual([]);
  },
  LIMIT_MS,
);
