/**
 * `npm run faults -- --help`: the promises under fire. Runs the suites one after the other, says at the end in a table what each
 * fault has shown, and ends with 1 if a promise did not hold, with 2 if it was asked wrongly.
 *
 * A suite is a file `<name>.faults.ts` in this folder, or several: `<name>-<what>.faults.ts`. Nothing has to be registered.
 * - Its header's first paragraph is what `--help` says of it.
 * - It holds vitest's tests, each with a time limit of its own; a test's name states the fault and what holds under it.
 * - A test says its figures with `show` (figures.ts) before it judges, and tells its progress with console.log.
 * - Every guard has a control beside it, "control: ...", which takes the guard away and sees the fault.
 * - How much is done is counted, not timed; only a suite of random faults goes on for `inject("minutes")`. What is random
 *   comes from `inject("seed")` (dice.ts).
 * - What can't be done on a machine is left out with its reason: `context.skip("no tmpfs can be mounted here: ...")`.
 * - A scene is shared with `npm test` as a function in a file beside it (`<name>.ts`, `<name>-<what>.ts`) that takes how much to
 *   do; `<name>.test.ts` runs it for seconds, `<name>.faults.ts` for minutes.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { startVitest } from "vitest/node";
import { tableOf } from "./figures.ts";
import { chooseSuites, findSuites, type Suite } from "./suites.ts";

declare module "vitest" {
  export interface ProvidedContext {
    minutes: number;
    seed: number;
  }
}

type Options = Readonly<{ suites: readonly Suite[]; minutes: number; seed: number; setup: readonly string[] }>;

const options = readOptions();
if (typeof options === "string") {
  console.error(`${options}\nnpm run faults -- --help shows what there is.`);
  process.exitCode = 2;
} else if (options !== undefined) process.exitCode = await run(options);

/** Undefined: only help was asked for, and given. */
function readOptions(): Options | string | undefined {
  const text = { type: "string" } as const;
  try {
    const { values } = parseArgs({
      options: { only: text, minutes: text, seed: text, from: text, help: { type: "boolean", short: "h" } },
    });
    const all = findSuites(resolve(values.from ?? "test/faults"));
    if (values.help) return void console.log(help(all));
    const suites = chooseSuites(all, values.only);
    const minutes = Number(values.minutes ?? 10);
    const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
    if (typeof suites === "string") return suites;
    if (!(minutes > 0)) return `--minutes: a number above 0, not ${values.minutes}`;
    if (!Number.isInteger(seed)) return `--seed: a whole number, not ${values.seed}`;
    return { suites, minutes, seed, setup: values.from === undefined ? ["test/support/global-setup.ts"] : [] };
  } catch (error) {
    return (error as Error).message;
  }
}

function help(suites: readonly Suite[]): string {
  const width = Math.max(...suites.map(({ name }) => name.length));
  return `Usage: npm run faults -- [options]

Breaks what may break, under load, and checks the books after each fault. Exits with 1 if a promise did not hold.

  --only a,b      these suites; all unless told
  --minutes 10    how long suites of random faults go on
  --seed 42       the same random faults in the same order again, though not at the same instants
  --from FOLDER   other suites than those of test/faults; no database is made for them
  --help

Suites:
${suites.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`).join("\n")}`;
}

/** 0 when all promises held. */
async function run({ suites, minutes, seed, setup }: Options): Promise<number> {
  console.log(`suites ${suites.map(({ name }) => name).join(", ")}; seed ${seed}`);
  const vitest = await startVitest("test", [], {
    include: suites.flatMap(({ files }) => files),
    globalSetup: [...setup],
    provide: { minutes, seed },
    watch: false,
    reporters: ["verbose"],
    config: false,
    pool: "forks",
    fileParallelism: false,
    testTimeout: 30 * 60_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    disableConsoleIntercept: true,
  });
  const modules = vitest.state.getTestModules();
  console.log(`\n${tableOf(modules, suites)}`);
  const ran = modules.length > 0 && modules.every((module) => module.ok());
  const clean = vitest.state.getUnhandledErrors().length === 0;
  await vitest.close();
  return ran && clean ? 0 : 1;
}
