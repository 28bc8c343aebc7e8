/** Postgres killed, stopped, full, crowded, cut off, and replaced by its synchronous replica, under load. */
import { expect, inject, test } from "vitest";
import { mutateProgram } from "../support/mutant.ts";
import { show } from "./figures.ts";
import { cutCommits } from "./postgres-commit.ts";
import { crashThenFailOver, failOverBehind, failOverUnderLoad } from "./postgres-failover.ts";
import { fullDisks, killWithoutWaiting, type OutageName, outages, playOutages } from "./postgres-outage.ts";

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

for (const name of Object.keys({ ...outages, ...fullDisks }) as OutageName[]) {
  test(
    `${name}, five times under load: nothing acknowledged is lost, nothing refused is charged`,
    async ({ task, skip }) => {
      const played = await playOutages(Array(5).fill(name));
      if (typeof played === "string") return skip(played);
      show(task, "P2, P3", played.figures);
      expect(played.faults).toEqual([]);
    },
    LIMIT_MS,
  );
}

test(
  "control: a relay that hears no error acknowledges what a full disk has refused, and the books show it",
  async ({ task, skip }) => {
    const program = mutateProgram("src/spool/accept.ts", {
      from: 'for (const { answer } of batch) answer({ kind: "failed" });',
      to: 'for (const { answer, submission } of batch) answer({ kind: "accepted", id: submission.id });',
    });
    const played = await playOutages(["the disk of its tables is full"], { program });
    if (typeof played === "string") return skip(played);
    show(task, "P2", { ...played.figures, "faults seen": played.faults.length });
    expect(played.faults).toContainEqual(expect.stringMatching(LOST));
  },
  LIMIT_MS,
);

test(
  "control: commits that don't wait for the disk are lost with the postmaster, and the books show it",
  async ({ task }) => {
    const { faults, figures } = await killWithoutWaiting();
    show(task, "P2", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(LOST));
  },
  LIMIT_MS,
);

test(
  "commits whose request or answer is cut off: refused or accepted, what is said is true",
  async ({ task }) => {
    const { faults, figures } = await cutCommits(30, inject("seed"));
    show(task, "P2, P3", figures);
    expect(faults).toEqual([]);
  },
  LIMIT_MS,
);

test(
  "control: a lost answer taken for a refusal is mail that is refused and charged",
  async ({ task }) => {
    const program = mutateProgram("src/spool/accept-call.ts", {
      from: 'return { kind: "unknown", sentAtMs };',
      to: 'return { kind: "failed" };',
    });
    const { faults, figures } = await cutCommits(3, inject("seed"), program);
    show(task, "P2, P3", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(/ is charged, but was refused: 451/));
  },
  LIMIT_MS,
);
