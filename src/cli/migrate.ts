/** `postmeter migrate`: brings the database to this version. */
import type { Command } from "commander";
import { checkDurability } from "../platform/database.ts";
import { migrate } from "../platform/migrate.ts";
import { openTool } from "./session.ts";
import { type Cli, type Options, run, verb } from "./verb.ts";

export function addMigrateCommand(program: Command, cli: Cli): void {
  verb(program, "migrate", "bring the database to this version; run it before the new version serves", [
    "migrate",
    "migrate --dry-run",
  ])
    .option("--dry-run", "only tell what would run")
    .action((options: Options & { dryRun?: true }) =>
      run(cli, options, async () => {
        await using tool = await openTool(cli.env);
        const { database, log } = tool;
        const pending = await tool.pending();
        if (options.dryRun) return { json: { pending }, text: pending.join("\n") || "Nothing is pending." };
        await checkDurability(database.db);
        await migrate(database, log);
        const text = pending.length === 0 ? "Nothing was pending." : `Done: ${pending.join(", ")}`;
        return { json: { migrated: pending }, text };
      }),
    );
}
