/** `postmeter migrate`: brings the database to this program's tables; serve does the same at its start. */
import type { Command } from "commander";
import { loadConfig } from "../platform/config.ts";
import { openDatabase } from "../platform/database.ts";
import { startEmbedded } from "../platform/embedded.ts";
import { createLog } from "../platform/log.ts";
import { migrate } from "../platform/migrate.ts";

export function addMigrate(program: Command): void {
  program
    .command("migrate")
    .description("bring the database to this version's tables; safe to repeat, and on a filled database")
    .action(async () => {
      const config = loadConfig(process.env, "tool");
      const log = createLog(config.logLevel);
      await using opened = new AsyncDisposableStack();
      const url = config.databaseUrl || opened.use(await startEmbedded(config.dataDir, log)).url;
      const database = opened.use(openDatabase({ url, clockOffsetMs: config.clockOffsetMs }));
      await migrate(database, log);
    });
}
