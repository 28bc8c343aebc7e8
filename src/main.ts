#!/usr/bin/env node
/**
 * The program: `postmeter <command>`. `serve` and `dev` run until they are told to stop; every other command is an
 * operator's and ends by itself (cli/). Exit codes: 0 done, 1 failed, 2 wrong usage.
 */
import { createProgram } from "./cli/program.ts";
import { banner, openDemo } from "./dev.ts";
import { ConfigError, loadConfig, type Profile } from "./platform/config.ts";
import { Fault } from "./platform/errors.ts";
import { createLog, type Log } from "./platform/log.ts";
import { type Node, type Role, roleNames, startNode } from "./serve.ts";
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

async function run(profile: Extract<Profile, "serve" | "dev">, roles: ReadonlySet<Role>): Promise<number> {
  let log: Log | undefined;
  try {
    const config = loadConfig(process.env, profile);
    log = createLog(config.logLevel);
    await using node = await startNode(config, roles, log);
    process.stdout.write(`${JSON.stringify({ event: "postmeter.ready", ports: node.ports })}\n`);
    if (profile === "dev") process.stdout.write(banner(await openDemo(node.house), node.ports, node.house));
    const signal = await untilToldToStop(() => reload(node, log as Log));
    log.info({ event: "postmeter.stopping", signal }, "draining");
  } catch (error) {
    return failed(error, log);
  }
  log.info({ event: "postmeter.stopped" });
  return 0;
}

function reload(node: Node, log: Log): void {
  node.reload().catch((error: Error) => log.error({ event: "tls.reload_failed", reason: error.message }));
}

/** What an operator can act on goes out as plain lines; the rest is a bug or an outage, and is logged whole. */
function failed(error: unknown, log: Log | undefined): number {
  if (error instanceof ConfigError) process.stderr.write(`postmeter: ${error.problems.join("\npostmeter: ")}\n`);
  else if (error instanceof Fault || log === undefined)
    process.stderr.write(`postmeter: ${(error as Error).message}\n`);
  else {
    log.fatal({ event: "postmeter.failed", err: error });
    process.stderr.write(`postmeter: it can't go on: ${(error as Error).message}\n`);
  }
  return 1;
}
