/**
 * How every command looks and ends: `--json`, examples in its help, one line for each thing that is wrong.
 * Exit codes: 0 done, 1 failed, 2 wrong usage.
 */
import type { Command } from "commander";
import { ConfigError } from "../platform/config.ts";
import { Fault } from "../platform/errors.ts";
import { connectionProblem } from "../platform/outage.ts";
import { openSession, type Session } from "./session.ts";

/** What the commands reach outside of the database. Tests play it. */
export type Cli = Readonly<{
  env: NodeJS.ProcessEnv;
  write(text: string): void;
  complain(text: string): void;
  /** Ends the program, or the test's run of it. */
  exit(code: number): never;
  setExitCode(code: number): void;
}>;

/** What a command answers: `json` for programs, `text` for people. */
export type Shown = Readonly<{ json: unknown; text: string; exitCode?: 0 | 1 }>;

export type Options = Readonly<{ json?: true }>;

/** A command of `parent`. `examples` are shown by its help, without the program's name. */
export function verb(parent: Command, usage: string, summary: string, examples: readonly string[]): Command {
  const lines = examples.map((example) => `  $ postmeter ${example}`);
  return parent
    .command(usage)
    .description(summary)
    .option("--json", "answer in JSON")
    .addHelpText("after", `\nExamples:\n${lines.join("\n")}`);
}

/** A command that has commands. Alone it shows its help, and that is wrong usage. */
export function group(program: Command, name: string, summary: string): Command {
  return program.command(name).description(summary);
}

/** Does the command's work and shows what came of it. */
export async function run(cli: Cli, options: Options, work: () => Promise<Shown>): Promise<void> {
  try {
    const { json, text, exitCode = 0 } = await work();
    cli.write(
      options.json ? `${JSON.stringify(json, null, 2)}\n` : text === "" || text.endsWith("\n") ? text : `${text}\n`,
    );
    cli.setExitCode(exitCode);
  } catch (error) {
    for (const line of complaints(error)) cli.complain(`postmeter: ${line}\n`);
    cli.setExitCode(1);
  }
}

/** With the database and all that belongs to it. */
export function runWith(cli: Cli, options: Options, work: (session: Session) => Promise<Shown>): Promise<void> {
  return run(cli, options, async () => {
    await using session = await openSession(cli.env);
    return await work(session);
  });
}

function complaints(error: unknown): readonly string[] {
  if (error instanceof ConfigError) return error.problems;
  if (error instanceof Fault) {
    const further = error.details.slice(1).map(({ pointer, detail }) => `${pointer.slice(1)}: ${detail}`);
    return [error.message, ...further];
  }
  const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
  return [connectionProblem(error) ?? `it failed: ${reason}`];
}
