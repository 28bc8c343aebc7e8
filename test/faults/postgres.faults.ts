/** Postgres killed, stopped, full, crowded, cut off, and replaced by its synchronous replica, under load. */
import { expect, test } from "vitest";
import { mutateProgram } from "../support/mutant.ts";
import { show } from "./figures.ts";
import { crashThenFailOver, failOverBehind, failOverUnderLoad } from "./postgres-failover.ts";

const LIMIT_MS = 20 * 60_000;
const LOST = /^msg_\w+ was acknowledged, but is not charged$/;

test(
  "a synchronous replica that takes over under load, again and again: nothing acknowledged is lost",
  async ({ task }) => {
    const { faults, figures } = await failOverUnderLoad(6);
    show(task, "P2, P3", figures);
    expect(faults).toEqual([]);
  },
  LIMIT_MS,
);

test(
  "a primary that dies while commits wait for its synchronous replica: nothing acknowledged is lost",
  async ({ task }) => {
    const { faults, figures } = await failOverBehind(true);
    show(task, "P2, P3", figures);
    expect(faults).toEqual([]);
  },
  LIMIT_MS,
);

test(
  "control: with a replica that no commit waits for, the books show what was lost",
  async ({ task }) => {
    const { faults, figures } = await failOverBehind(false);
    show(task, "P2", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(LOST));
  },
  LIMIT_MS,
);

test(
  "a primary that crashes, comes back and dies: the relay was told nothing that its replica does not know",
  async ({ task }) => {
    const { faults, figures } = await crashThenFailOver();
    show(task, "P2, P3", figures);
    expect(faults).toEqual([]);
  },
  LIMIT_MS,
);

test(
  "control: a fence that believes what it reads at once acknowledges what the replica never got",
  async ({ task }) => {
    const program = mutateProgram("src/spool/fence.ts", { from: "    await client.query(REPLICATED);\n", to: "" });
    const { faults, figures } = await crashThenFailOver(program);
    show(task, "P2", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(LOST));
  },
  LIMIT_MS,
);
