/**
 * The operator's commands. main.ts adds those that run until they are told to stop.
 *
 * Invariant: a command calls the functions that the API calls, as the operator; it holds no rule and no SQL of its own.
 */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { addBrandingCommands } from "./branding.ts";
import { addConfigCommand } from "./config.ts";
import { addCredentialCommands } from "./credential.ts";
import { addDoctorCommand } from "./doctor.ts";
import { addDomainCommands } from "./domain.ts";
import { addKeyCommands } from "./key.ts";
import { addLedgerCommands } from "./ledger.ts";
import { addMasterCommands } from "./master.ts";
import { addMemberCommands } from "./member.ts";
import { addMigrateCommand } from "./migrate.ts";
import { addPlanCommands } from "./plan.ts";
import { addPriceCommands } from "./price.ts";
import { addQueueCommands } from "./queue.ts";
import { addQuotaCommands } from "./quota.ts";
import { addRateCardCommands } from "./rate-card.ts";
import { addRefusalCommands } from "./refusal.ts";
import { addReviewCommands } from "./review.ts";
import { addStatementCommands } from "./statement.ts";
import { addSubaccountCommands } from "./subaccount.ts";
import { addTransferCommands } from "./transfer.ts";
import { addUsageCommand } from "./usage.ts";
import type { Cli } from "./verb.ts";

const commands = [
  addMasterCommands,
  addSubaccountCommands,
  addPlanCommands,
  addRateCardCommands,
  addPriceCommands,
  addTransferCommands,
  addCredentialCommands,
  addKeyCommands,
  addMemberCommands,
  addQuotaCommands,
  addUsageCommand,
  addStatementCommands,
  addDomainCommands,
  addBrandingCommands,
  addQueueCommands,
  addRefusalCommands,
  addReviewCommands,
  addLedgerCommands,
  addDoctorCommand,
  addConfigCommand,
  addMigrateCommand,
];

/** Of this process. */
export function processCli(): Cli {
  return {
    env: process.env,
    write: (text) => void process.stdout.write(text),
    complain: (text) => void process.stderr.write(text),
    exit: (code) => process.exit(code),
    setExitCode(code) {
      process.exitCode = code;
    },
  };
}

export function createProgram(cli: Cli = processCli()): Command {
  const program = new Command("postmeter")
    .description("an SMTP relay for resellers")
    .version(version(), "--version", "which one this is")
    .showHelpAfterError("(add --help for what this command takes)")
    .configureOutput({ writeOut: cli.write, writeErr: cli.complain })
    .exitOverride((error) => cli.exit(error.exitCode === 0 ? 0 : 2));
  for (const add of commands) add(program, cli);
  return program;
}

function version(): string {
  return JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version;
}

class Ended extends Error {}

/**
 * Runs one command and tells its exit code: 0 done, 1 failed, 2 wrong usage.
 * @param argv what follows the program's name
 */
export async function runCli(argv: readonly string[], told: Partial<Cli> = {}): Promise<number> {
  let code = 0;
  const cli: Cli = {
    ...processCli(),
    exit(ended) {
      code = ended;
      throw new Ended();
    },
    setExitCode(ended) {
      code = ended;
    },
    ...told,
  };
  try {
    await createProgram(cli).parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
  }
  return code;
}
