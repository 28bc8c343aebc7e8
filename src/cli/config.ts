/** `postmeter config`: every setting as it would be used, and what is wrong with it. */
import { type Command, Option } from "commander";
import { ConfigError, loadConfig, type Profile, showConfig } from "../platform/config.ts";
import { table } from "./layout.ts";
import { type Cli, type Options, run, verb } from "./verb.ts";

type ConfigOptions = Options & { for: Profile };

export function addConfigCommand(program: Command, cli: Cli): void {
  verb(program, "config", "every setting as it is used, secrets hidden; exit code 1 when one is wrong", [
    "config",
    "config --for serve",
  ])
    .addOption(new Option("--for <what>", "whose settings").choices(["tool", "serve", "dev"]).default("tool"))
    .action(({ for: profile, ...options }: ConfigOptions) =>
      run(cli, options, async () => {
        const settings = showConfig(cli.env, profile);
        const problems = problemsOf(cli.env, profile);
        for (const problem of problems) cli.complain(`postmeter: ${problem}\n`);
        const rows = settings.map(({ variable, value, source }) => [variable, value === "" ? null : value, source]);
        return {
          json: { settings, problems },
          text: table(["variable", "value", "from"], rows),
          exitCode: problems.length === 0 ? 0 : 1,
        };
      }),
    );
}

export function problemsOf(env: NodeJS.ProcessEnv, profile: Profile): readonly string[] {
  try {
    loadConfig(env, profile);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
