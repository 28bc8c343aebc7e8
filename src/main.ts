#!/usr/bin/env -S node --max-old-space-size=1024 --max-semi-space-size=16
/**
 * The program: `postmeter <command>`. `serve` and `dev` run until they are told to stop; every other command is an
 * operator's and ends by itself (cli/). Exit codes: 0 done, 1 failed, 2 wrong usage.
 */
import cluster from "node:cluster";
import { createProgram } from "./cli/program.ts";
import { banner, openDemo } from "./dev.ts";
import { type Config, ConfigError, loadConfig, type Profile } from "./platform/config.ts";
import { Fault } from "./platform/errors.ts";
import { portProblem } from "./platform/listening.ts";
import { createLog, type Log } from "./platform/log.ts";
import { connectionProblem } from "./platform/outage.ts";
import { startProcesses } from "./processes.ts";
import { type Among, type Role, roleNames, startNode } from "./serve.ts";
import { type Begun, reloadFailed, runSibling } from "./sibling.ts";
import { untilToldToStop } from "./signals.ts";

const program = createProgram();

program
  .command("serve")
  .description("run in production, against your PostgreSQL and Redis, until SIGTERM")
  .option("--roles <list>", `what this node does, of ${roleNames.join(",")}`, roleNames.join(","))
  .action(async ({ roles }: { roles: string }) => {
    process.exitCode = await run("serve", readRoles(roles));
  });

program
  .command("dev")
  .description("run all of it here: embedded PostgreSQL, captured mail, demo accounts (npm start)")
  .action(async () => {
    process.exitCode = await run("dev", new Set(roleNames));
  });

await program.parseAsync();
if (cluster.isWorker) process.exit(); // the channel to the primary would keep it alive

function readRoles(list: string): ReadonlySet<Role> {
  const names = list.split(",").map((name) => name.trim());
  const unknown = names.filter((name) => !roleNames.includes(name as Role));
  if (unknown.length > 0) {
    program.error(`error: --roles: there is no role "${unknown[0]}"; roles are ${roleNames.join(", ")}`, {
      exitCode: 2,
    });
  }
  return new Set(names as Role[]);
}

type LongRunning = Extract<Profile, "serve" | "dev">;

async function run(profile: LongRunning, roles: ReadonlySet<Role>): Promise<number> {
  let log: Log | undefined;
  let config: Config | undefined;
  try {
    const settings = loadConfig(process.env, profile);
    config = settings;
    log = createLog(config.logLevel);
    if (cluster.isWorker) {
      log = log.child({ pid: process.pid });
      await runSibling((order, among) =>
        begin(profile, { ...settings, ...order.set }, new Set(order.roles), log as Log, among),
      );
      return 0;
    }
    await using running = await (config.processes > 1
      ? startProcesses(config, roles, log)
      : begin(profile, config, roles, log));
    process.stdout.write(`${JSON.stringify({ event: "postmeter.ready", ports: running.ports })}\n${running.greeting}`);
    const signal = await untilToldToStop(() => running.reload().catch(reloadFailed(log as Log)));
    log.info({ event: "postmeter.stopping", signal }, "draining");
  } catch (error) {
    return failed(error, log, config);
  }
  log.info({ event: "postmeter.stopped" });
  return 0;
}

/** One process with these roles. The demo is shown by the one that has the API. */
async function begin(
  profile: LongRunning,
  config: Config,
  roles: ReadonlySet<Role>,
  log: Log,
  among?: Among,
): Promise<Begun> {
  await using opened = new AsyncDisposableStack();
  const node = opened.use(await startNode(config, roles, log, among));
  const shown = profile === "dev" && among?.silent !== true;
  const greeting = shown ? banner(await openDemo(node.house), node.ports, node.house) : "";
  opened.move();
  return { ...node, greeting, log, registry: node.house.metrics.registry };
}

function databaseProblem(error: unknown): string | undefined {
  const problem = connectionProblem(error);
  return problem && `${problem} (POSTMETER_DATABASE_URL)`;
}

/** What an operator can act on goes out as plain lines; the rest is a bug or an outage, and is logged whole. */
function failed(error: unknown, log: Log | undefined, config: Config | undefined): number {
  const known = config && (portProblem(error, config) ?? databaseProblem(error));
  if (known !== undefined) process.stderr.write(`postmeter: ${known}\n`);
  else if (error instanceof ConfigError) process.stderr.write(`postmeter: ${error.problems.join("\npostmeter: ")}\n`);
  else if (error instanceof Fault || log === undefined)
    process.stderr.write(`postmeter: ${(error as Error).message}\n`);
  else {
    log.fatal({ event: "postmeter.failed", err: error });
    process.stderr.write(`postmeter: it can't go on: ${(error as Error).message}\n`);
  }
  return 1;
}
