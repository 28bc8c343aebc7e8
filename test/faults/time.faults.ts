/** Periods that change in the middle of a load: day 31, days of summer time in many zones, nodes whose clocks are 90 s apart. */
import { expect, test } from "vitest";
import { openScene, type Scene } from "../journeys/scene.ts";
import { mutateFunction, mutateFurther, mutateProgram } from "../support/mutant.ts";
import { show } from "./figures.ts";
import { changeUnderLoad } from "./time.ts";
import { nodeAhead } from "./time-stage.ts";
import { doubleMidnight, leapDay, moments, setBackOverMidnight, skippedMidnight } from "./time-zones.ts";

const LIMIT_MS = 15 * 60_000;

async function change(...told: Parameters<typeof changeUnderLoad>) {
  const { faults, figures, stage } = await changeUnderLoad(...told);
  await stage.scene.end();
  return { faults, figures };
}

for (const moment of moments) {
  test(
    `a period changes under load, ${moment.what}: billed to the unit, the limit opens again with the new period`,
    async ({ task }) => {
      const { faults, figures } = await change({ moment });
      show(task, "P1, P3", figures);
      expect(faults).toEqual([]);
    },
    LIMIT_MS,
  );
}

test(
  `a period changes under load, ${setBackOverMidnight.what}: the job closes its statement meanwhile, once and right`,
  async ({ task }) => {
    const { faults, figures } = await change({ moment: setBackOverMidnight }, "by job");
    show(task, "P1, P3", figures);
    expect(faults).toEqual([]);
  },
  LIMIT_MS,
);

for (const [apartMs, moment] of [
  [90_000, leapDay],
  [-90_000, skippedMidnight],
] as const) {
  test(
    `a node whose clock is ${apartMs / 1000} s off, beside one that is right: Postgres's clock decides the period of each message`,
    async ({ task }) => {
      const { faults, figures } = await change({ moment, others: [nodeAhead(apartMs)], goesOnMs: 3_000 });
      show(task, "P1, P3", figures);
      expect(faults).toEqual([]);
    },
    LIMIT_MS,
  );
}

test(
  "messages that wait for a locked counter when the period changes belong to the new one",
  async ({ task }) => {
    const { faults, figures } = await change({ moment: leapDay, held: true });
    show(task, "P1, P3", figures);
    expect(faults).toEqual([]);
    expect(figures["of these held"]).toBeGreaterThan(0);
  },
  LIMIT_MS,
);

test("a node whose clock is 90 s off does not start", async ({ task }) => {
  const scene = await openScene();
  const started = [90_000, -90_000].map((ms) => scene.startAgain({ program: nodeAhead(ms, "asks") }));
  const ends = await Promise.allSettled(started);
  show(task, "P3", { nodes: ends.length, refused: ends.filter(({ status }) => status === "rejected").length });
  for (const end of ends)
    expect(end).toMatchObject({
      reason: { message: expect.stringMatching(/clock and PostgreSQL's differ by (89|90|91)\.\d s/) },
    });
});

test(
  "control: where the reservation's period counts, and not Postgres's clock, messages of one period are on the other's statement",
  async ({ task }) => {
    const { faults, figures } = await change({
      moment: leapDay,
      others: [nodeAhead(90_000)],
      prepare: ({ database }) =>
        mutateFunction(
          database,
          "accept_batch",
          { from: "elsif t >= c_end[s] then verdict[i] := 4;", to: "" },
          { from: "elsif t < k_start[s] then verdict[i] := 5;", to: "" },
        ),
    });
    show(task, "P3", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(
      expect.stringMatching(/ was acknowledged before the change, and is charged after it$/),
    );
    expect(faults).toContainEqual(expect.stringMatching(/its accept entry lies outside of its period$/));
  },
  LIMIT_MS,
);

test(
  "control: where Postgres's clock is read before the locks, messages that wait over the change are charged before it",
  async ({ task }) => {
    const before = { from: "t := pm_now(); cur := k_used;", to: "cur := k_used;" };
    const prepare = ({ database }: Scene) => mutateFunction(database, "accept_batch", before);
    const { faults, figures } = await change({ moment: leapDay, held: true, prepare });
    show(task, "P3", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(/ waited over the change, and is charged before it$/));
  },
  LIMIT_MS,
);

test(
  "control: where a node that is behind believes the rows of a period that has ended, clients are refused for it",
  async ({ task }) => {
    const believes = { from: "period_end <= pm_now() as ended", to: "false as ended" };
    const others = [mutateFurther(nodeAhead(-90_000), "src/quota/standing.ts", believes)];
    const { faults, figures } = await change({ moment: skippedMidnight, others, goesOnMs: 3_000 });
    show(task, "P3", { ...figures, "faults seen": faults.length });
    expect(faults).toContainEqual(expect.stringMatching(/ was refused for what was used before the change: 550 /));
  },
  LIMIT_MS,
);

const misreckoned = [
  ["a day 31 that is not clamped to February", "Math.min(anchorDay, length)", "anchorDay", leapDay, "UTC 31"],
  [
    "the second of two midnights",
    "Math.min(...candidates)",
    "Math.max(...candidates)",
    doubleMidnight,
    "America/Havana 3",
  ],
] as const;

for (const [what, from, to, moment, who] of misreckoned) {
  test(
    `control: periods that begin with ${what} are seen`,
    async ({ task }) => {
      const program = mutateProgram("src/metering/period.ts", { from, to });
      const { faults, figures } = await change({ moment, program });
      show(task, "P3", { ...figures, "faults seen": faults.length });
      expect(faults).toContainEqual(
        expect.stringMatching(new RegExp(`^${who}: periods of sub_\\w+ are .* instead of `)),
      );
    },
    LIMIT_MS,
  );
}
