/** What the figures were measured on. */
import { cpus, release, totalmem } from "node:os";
import type { Options } from "./options.ts";
import { fileSystem } from "./targets.ts";

/** Name and value, in the order to be shown. */
export function machine(options: Options): readonly (readonly [string, string])[] {
  const processors = cpus();
  const { pipelining, rounds, seconds, subaccounts, generators } = options;
  const slower =
    options.fsyncMs === 0 ? "" : `; ${options.fsyncMs} ms added to each fsync of PostgreSQL and of the peers`;
  return [
    ["processors", `${processors.length} x ${processors[0]?.model.trim() ?? "unknown"}`],
    ["memory", `${(totalmem() / 2 ** 30).toFixed(1)} GiB`],
    ["system", `Linux ${release()}, Node ${process.versions.node}`],
    ["disk", `${options.disk}: ${fileSystem(options.disk)}${slower}`],
    ["rounds", `${rounds} of ${seconds} s per target and scenario, alternating; medians`],
    [
      "generator",
      `${generators} process(es), ${pipelining ? "pipelined" : "not pipelined"}, ${subaccounts} subaccount(s) on the relay's side`,
    ],
  ];
}
