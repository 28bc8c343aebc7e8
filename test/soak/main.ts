/**
 * `npm run soak -- --help`: the whole program for a long time under a steady mixed load with random faults. Writes a page with
 * plots, and ends with 1 if something grew or the books are wrong, with 2 if it was asked wrongly.
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { parseArgs } from "node:util";

declare module "vitest" {
  export interface ProvidedContext {
    page: string;
  }
}

type Options = Readonly<{ minutes: number; seed: number; page: string }>;

const help = `Usage: npm run soak -- [options]

Two nodes with PostgreSQL, Redis and a played upstream, under a steady mixed load with a random fault about every 20 s. Memory and
descriptors must stay flat, the queue must drain, and the books must be right at the end. Exits with 1 if not.

  --minutes 30        how long the load goes on
  --seed 42           the same faults in the same order again, though not at the same instants
  --page FILE         where the plots go; data/soak.html unless told
  --help`;

const options = readOptions();
if (typeof options === "string") {
  console.error(`${options}\nnpm run soak -- --help shows what there is.`);
  process.exitCode = 2;
} else if (options !== undefined) process.exitCode = await run(options);

/** Undefined: only help was asked for, and given. */
function readOptions(): Options | string | undefined {
  const text = { type: "string" } as const;
  try {
    const { values } = parseArgs({
      options: { minutes: text, seed: text, page: text, help: { type: "boolean", short: "h" } },
    });
    if (values.help) return void console.log(help);
    if (!existsSync("/proc/self/fd")) return "The soak reads /proc: it runs on Linux only.";
    const minutes = Number(values.minutes ?? 30);
    const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
    if (!(minutes > 0)) return `--minutes: a number above 0, not ${values.minutes}`;
    if (!Number.isInteger(seed)) return `--seed: a whole number, not ${values.seed}`;
    return { minutes, seed, page: resolve(values.page ?? "data/soak.html") };
  } catch (error) {
    return (error as Error).message;
  }
}

/** 0 when all held. */
async function run({ minutes, seed, page }: Options): Promise<number> {
  console.log(`${minutes} minutes; seed ${seed}`);
  const { startVitest } = await import("vitest/node"); // not for a word of help: it takes seconds
  const vitest = await startVitest("test", [], {
    include: ["test/soak/soak.run.ts"],
    provide: { minutes, seed, page },
    watch: false,
    reporters: ["verbose"],
    config: false,
    pool: "forks",
    testTimeout: 86_400_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    disableConsoleIntercept: true,
  });
  const modules = vitest.state.getTestModules();
  const held = modules.length > 0 && modules.every((module) => module.ok());
  const clean = vitest.state.getUnhandledErrors().length === 0;
  await vitest.close();
  return held && clean ? 0 : 1;
}
