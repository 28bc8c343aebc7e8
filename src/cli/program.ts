/** The operator's commands. main.ts adds those that run until they are told to stop. */
import { Command } from "commander";
import { addMigrate } from "./migrate.ts";

export function createProgram(): Command {
  const program = new Command("postmeter")
    .description("an SMTP relay for resellers")
    .showHelpAfterError("(add --help for what this command takes)")
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  addMigrate(program);
  return program;
}
