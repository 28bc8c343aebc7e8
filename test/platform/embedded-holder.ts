/** A program for the tests: starts or joins the embedded database of the folder given, says its process, and waits to be killed. */
import { lockDataDir } from "../../src/platform/data-lock.ts";
import { startEmbedded } from "../../src/platform/embedded.ts";
import { createLog } from "../../src/platform/log.ts";

const [dataDir = "", ...settings] = process.argv.slice(2);
try {
  const lock = await lockDataDir(dataDir);
  const embedded = await startEmbedded(dataDir, createLog("silent"), settings);
  process.once("SIGTERM", async () => {
    await embedded[Symbol.asyncDispose]();
    lock[Symbol.dispose]();
    process.exit(0);
  });
  setInterval(() => {}, 60_000);
  process.stdout.write(`${JSON.stringify({ url: embedded.url, pid: embedded.pid() })}\n`);
} catch (error) {
  process.stdout.write(`${JSON.stringify({ error: (error as Error).message })}\n`);
}
