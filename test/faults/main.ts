/**
 * `npm run faults [-- --minutes 10] [-- --seed 42]`: random faults under load, round after round, until the time is over or
 * the books are wrong. A seed gives the same faults in the same order again, though not at the same instants.
 */
import { parseArgs } from "node:util";
import { startVitest } from "vitest/node";

const { values } = parseArgs({ options: { minutes: { type: "string" }, seed: { type: "string" } } });
const minutes = Number(values.minutes ?? 10);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1e9));
if (!(minutes > 0) || !Number.isInteger(seed)) {
  process.stderr.write("usage: npm run faults [-- --minutes <number>] [-- --seed <whole number>]\n");
  process.exit(2);
}

const vitest = await startVitest("test", [], {
  include: ["test/faults/**/*.faults.ts"],
  globalSetup: ["test/support/global-setup.ts"],
  provide: { minutes, seed },
  watch: false,
  reporters: ["verbose"],
  config: false,
  pool: "forks",
  testTimeout: (minutes + 10) * 60_000,
  hookTimeout: 120_000,
  teardownTimeout: 60_000,
  disableConsoleIntercept: true,
});
await vitest.close();

declare module "vitest" {
  export interface ProvidedContext {
    minutes: number;
    seed: number;
  }
}
