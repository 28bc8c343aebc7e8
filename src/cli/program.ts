/** The operator's commands. main.ts adds those that run until they are told to stop. */
import { Command } from "commander";

export function createProgram(): Command {
  return new Command("postmeter")
    .description("an SMTP relay for resellers")
    .showHelpAfterError("(add --help for what this command takes)")
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
}
