/** A program that archives or restores a month and is killed, without a word, at a step of it; a test runs it. */
import { archiveMonth } from "../../src/metering/archive.ts";
import { restoreMonth } from "../../src/metering/restore.ts";
import { createClock } from "../../src/platform/clock.ts";
import { openDatabase } from "../../src/platform/database.ts";

const [url = "", offset = "0", work, month = "", dir = "", fatal] = process.argv.slice(2);
const clockOffsetMs = Number(offset);
await using database = openDatabase({ url, clockOffsetMs, max: 2, applicationName: "postmeter test, child" });
const die = () => process.kill(process.pid, "SIGKILL");
const options = {
  dir,
  retentionMs: 0,
  principal: { kind: "system" },
  clock: createClock(clockOffsetMs),
  onStep: (step: string) => void (step === fatal && die()),
  onPage: () => void (fatal === "page" && die()),
} as const;
await (work === "restore" ? restoreMonth : archiveMonth)(database.db, month, options);
