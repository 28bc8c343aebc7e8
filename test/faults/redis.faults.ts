/** Redis flushed, back with an old image, hanging, slow, cut off, full, and replaced by a replica, under load. */
import { expect, test } from "vitest";
import { mutateFunction, mutateProgram } from "../support/mutant.ts";
import { show } from "./figures.ts";
import { playOutages } from "./redis.ts";
import { type OutageName, outages } from "./redis-outage.ts";

const LIMIT_MS = 20 * 60_000;

for (const name of Object.keys(outages) as OutageName[]) {
  test(
    `${name}, four times under load: exactly the limit, service goes on, and the counters are right within a round of reconciling`,
    async ({ task }) => {
      const { faults, figures } = await playOutages({ names: Array(4).fill(name), round: "waited for" });
      show(task, "P1, P3", figures);
      expect(faults).toEqual([]);
    },
    LIMIT_MS,
  );
}

test(
  "control: without reconciling the counters stay apart",
  async ({ task }) => {
    const program = mutateProgram("src/housekeeping.ts", {
      from: "reconcile: async () => void (await reconcile({ database, gate, metrics, log })),",
      to: "reconcile: async () => {},",
    });
    const { faults, figures } = await playOutages({ names: ["a hang"], round: "waited for", program });
    show(task, "P1", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(/ after a round of reconciling$/));
  },
  LIMIT_MS,
);

test(
  "control: where the door decides nothing, an old image of Redis sells units twice, and the books show it",
  async ({ task }) => {
    const { faults, figures } = await playOutages({
      names: ["a restart from an old image"],
      round: "asked for",
      prepare: ({ database }) =>
        mutateFunction(database, "accept_batch", { from: "cur[s] + u > k_cap[s]", to: "false" }),
    });
    show(task, "P1", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(/^\d+ units were accepted of \d+$/));
    expect(faults).toContainEqual(expect.stringMatching(/^sub_\w+ has used \d+ of \d+$/));
  },
  LIMIT_MS,
);
