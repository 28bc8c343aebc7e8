/** Invented tenants until the time is over: isolation, rules and sums by a model; forged senders; and what broken guards show of it. */
import fc from "fast-check";
import { expect, inject, test, vi } from "vitest";
import { type Edit, mutateFunction, mutateProgram } from "../support/mutant.ts";
import { show, textOf } from "./figures.ts";
import { holds, type Plan } from "./tenants.ts";
import { forge, openForgery } from "./tenants-senders.ts";
import { openStage } from "./tenants-stage.ts";

vi.setConfig({ testTimeout: 86_400_000, hookTimeout: 120_000 });

const DEEDS = 120;
const WORLDS_A_ROUND = 20;
const SHRINKING_MS = 120_000;

test("whatever invented tenants do, each sees and sends as its own only, and the books are right", async ({ task }) => {
  const stage = await openStage({ withRedis: true });
  const until = performance.now() + inject("minutes") * 60_000;
  const property = holds(stage, DEEDS);
  let seed = inject("seed");
  let round = await fc.check(property, { numRuns: WORLDS_A_ROUND, seed, endOnFailure: true });
  while (!round.failed && performance.now() < until) {
    console.log(`  ${textOf(stage.figures)}`);
    round = await fc.check(property, { numRuns: WORLDS_A_ROUND, seed: ++seed, endOnFailure: true });
  }
  show(task, "P1, P3, P4", stage.figures);
  if (round.failed) await shrink(property, round);
});

/** @throws with the fewest deeds that were found, what came of them, and their seed */
async function shrink(property: fc.IAsyncProperty<[Plan]>, { seed, counterexamplePath: path }: fc.RunDetails<[Plan]>) {
  console.log("  a world failed; looking for a smaller one");
  const time = { interruptAfterTimeLimit: SHRINKING_MS, markInterruptAsFailure: true, includeErrorInReport: true };
  await fc.assert(property, { seed, ...(path === null ? {} : { path }), ...time });
}

type Broken = Readonly<{ file?: string; edit?: Edit; inDatabase?: Edit; says: RegExp }>;

const broken: readonly [string, Broken][] = [
  [
    "messages are read without asking whose they are",
    {
      file: "src/spool/inspect.ts",
      edit: { from: 'if (masterId !== null) narrowed = narrowed.where("m.master_id", "=", masterId);', to: "" },
      says: /shows/,
    },
  ],
  [
    "any sender is allowed",
    {
      file: "src/domains/allowed.ts",
      edit: { from: 'return holder === "this" ||', to: "return true ||" },
      says: /a send of .*250 2\.0\.0.* sender/,
    },
  ],
  [
    "no limit is looked at",
    {
      file: "src/quota/gate.ts",
      edit: { from: "return used + Math.max(units, 1) > cap", to: "return used < 0" },
      inDatabase: { from: "cur[s] + u > k_cap[s]", to: "false" },
      says: /a send of .*250 2\.0\.0.* limit/,
    },
  ],
  [
    "a charge of three is left out of the counters",
    {
      inDatabase: {
        from: "set used = d.v, version",
        to: "set used = case when d.v - x.used = 3 then x.used else d.v end, version",
      },
      says: /its counter says \d+, the ledger \d+/,
    },
  ],
  [
    "a closed customer may send",
    {
      file: "src/accounts/states.ts",
      edit: { from: 'return shownStates[strongest] ?? "active";', to: 'return "active";' },
      inDatabase: { from: "not (c_open[s] and c_open[m])", to: "false" },
      says: /is shown as active|a send of .*250 2\.0\.0.* state/,
    },
  ],
];

test.for(broken)("control: that %s is seen", async ([, { file, edit, inDatabase, says }], { task }) => {
  const program = file === undefined || edit === undefined ? {} : { program: mutateProgram(file, edit) };
  const stage = await openStage(program);
  if (inDatabase !== undefined) await mutateFunction(stage.database, "accept_batch", inDatabase);
  const round = await fc.check(holds(stage, DEEDS), { numRuns: WORLDS_A_ROUND, seed: 1, endOnFailure: true });
  show(task, "P1, P3, P4", { worlds: round.numRuns, deeds: stage.figures.deeds ?? 0 });
  await stage.end();
  expect(String(round.errorInstance)).toMatch(says);
});

test("3,276 forged senders, by four others: none leaves as the domain that somebody has proved", async ({ task }) => {
  const stage = await openStage();
  const { attempts, accepted, faults } = await forge(stage, await openForgery(stage));
  show(task, "P4", { attempts, accepted, faults: faults.length });
  await stage.end();
  expect(faults).toEqual([]);
});

test("control: a program that believes the header is seen", async ({ task }) => {
  const program = mutateProgram("src/submission/receive.ts", {
    from: "if (checked.has(domain)) continue;",
    to: "if (checked.has(domain) || domain) continue;",
  });
  const stage = await openStage({ program });
  const { attempts, accepted, faults } = await forge(stage, await openForgery(stage), 6);
  show(task, "P4", { attempts, accepted, faults: faults.length });
  await stage.end();
  expect(faults.length).toBeGreaterThan(50);
});
