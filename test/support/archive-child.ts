/** A program that does one thing with the archive, where it may be killed or starved; a test runs it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { archiveMonth } from "../../src/metering/archive.ts";
import { type EntryText, readPages } from "../../src/metering/archive-row.ts";
import { daysOfMonth } from "../../src/metering/months.ts";
import { restoreMonth } from "../../src/metering/restore.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { createClock } from "../../src/platform/clock.ts";
import { openDatabase } from "../../src/platform/database.ts";
import type { OpenLedger } from "./archive.ts";

/** `hoard` holds all entries of a month in memory. */
export type Work = "archive" | "restore" | "verify" | "hoard";

export type ChildOptions = Readonly<{ month: string; fatal?: string; heapMb?: number }>;

/** Exit code and signal. It is killed, without a word, at the step `fatal` (or its first `page`). */
export async function inChild(
  ledger: OpenLedger,
  work: Work,
  { month, fatal = "", heapMb }: ChildOptions,
): Promise<[code: number | null, signal: string | null]> {
  const flags = heapMb === undefined ? [] : [`--max-old-space-size=${heapMb}`, "--max-semi-space-size=2"];
  const told = [ledger.url, String(ledger.clockOffsetMs), work, month, ledger.dir, fatal];
  const stdio = ["ignore", "ignore", work === "hoard" ? "ignore" : "inherit"] as const;
  const child = spawn(process.execPath, [...flags, fileURLToPath(import.meta.url), ...told], { stdio: [...stdio] });
  return (await once(child, "exit")) as [number | null, string | null];
}

async function main([url = "", offset = "0", work, month = "", dir = "", fatal]: readonly string[]): Promise<void> {
  const clockOffsetMs = Number(offset);
  await using database = openDatabase({ url, clockOffsetMs, max: 4, applicationName: "postmeter test, child" });
  const { db } = database;
  const clock = createClock(clockOffsetMs);
  const die = () => process.kill(process.pid, "SIGKILL");
  const options = {
    ...{ dir, retentionMs: 0, clock },
    principal: { kind: "system" },
    onStep: (step: string) => void (step === fatal && die()),
    onPage: () => void (fatal === "page" && die()),
  } as const;
  if (work === "archive") await archiveMonth(db, month, options);
  if (work === "restore") await restoreMonth(db, month, options);
  if (work === "verify") process.exitCode = (await verifyLedger(db, clock, { archiveDir: dir })).ok ? 0 : 1;
  if (work === "hoard") {
    const pages: EntryText[][] = [];
    for await (const page of readPages(db, daysOfMonth(month).slice(9, 10))) pages.push(page);
    process.exitCode = pages.length > 0 ? 0 : 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
