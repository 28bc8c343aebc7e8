/**
 * The growth part of the bench: does cost stay flat as the work grows? Each subject fills a relay's tables, measures, and
 * says what it saw beside the goal.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { dirname } from "node:path";
import { startGenerator } from "./generator.ts";
import { apiGrowth } from "./growth-api.ts";
import { backlogGrowth } from "./growth-backlog.ts";
import { fairnessGrowth } from "./growth-fairness.ts";
import { type Found, renderFigures, type Subject } from "./growth-figures.ts";
import { ledgerGrowth } from "./growth-ledger.ts";
import { loginsGrowth } from "./growth-logins.ts";
import { type GrowthOptions, growthHelp, readGrowthOptions, type SubjectName } from "./growth-options.ts";
import { renderGrowthPage } from "./growth-page.ts";
import { processesGrowth } from "./growth-processes.ts";
import { refusalsGrowth } from "./growth-refusals.ts";
import { createGround, type Ground } from "./growth-stage.ts";
import { statementsGrowth } from "./growth-statements.ts";
import { subaccountsGrowth } from "./growth-subaccounts.ts";
import { tablesGrowth } from "./growth-tables.ts";
import { windowsGrowth } from "./growth-windows.ts";
import { startSink } from "./sink.ts";

const subjects: Readonly<Record<SubjectName, (ground: Ground) => Promise<Found>>> = {
  processes: processesGrowth,
  subaccounts: subaccountsGrowth,
  backlog: backlogGrowth,
  ledger: ledgerGrowth,
  refusals: refusalsGrowth,
  fairness: fairnessGrowth,
  api: apiGrowth,
  tables: tablesGrowth,
  logins: loginsGrowth,
  windows: windowsGrowth,
  statements: statementsGrowth,
};

/** The exit code of `npm run bench -- growth ...`. */
export async function growth(args: readonly string[]): Promise<number> {
  const options = readGrowthOptions(args);
  if (options === null) {
    console.log(growthHelp);
    return 0;
  }
  if (typeof options === "string") {
    console.error(`${options}\nnpm run bench -- growth --help shows what there is.`);
    return 2;
  }
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
  await using sink = await startSink();
  await using generator = await startGenerator(1);
  const found: Subject[] = [];
  for (const name of options.only) {
    if (interrupted.signal.aborted) break;
    const started = performance.now();
    const say = progress(name, interrupted.signal);
    const result = await subjects[name](createGround(options, sink, generator, say)).catch(failed);
    found.push({ name, found: result, seconds: (performance.now() - started) / 1000 });
    console.log(`${renderFigures(found.slice(-1))}\n`);
  }
  show(found, options);
  return found.every(({ found }) => found.problems.length === 0) ? 0 : 1;
}

function failed(error: Error): Found {
  console.error(error);
  return { figures: [], curves: [], problems: [`it can't go on: ${error.message}`] };
}

/** One line rewritten on a terminal; on a log a line per second at most. Throws once the bench is interrupted, so that all is put away. */
function progress(name: string, signal: AbortSignal): (text: string) => void {
  const began = performance.now();
  let saidAt = Number.NEGATIVE_INFINITY;
  return (text) => {
    if (signal.aborted) throw new Error("interrupted");
    if (!process.stderr.isTTY && performance.now() - saidAt < 1000) return;
    saidAt = performance.now();
    const at = `${((performance.now() - began) / 1000).toFixed(0).padStart(4)} s`;
    process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${at}  ${name}: ${text}` : `${at}  ${name}: ${text}\n`);
  };
}

function show(found: readonly Subject[], { html, json, rounds, seconds, sessions }: GrowthOptions): void {
  const facts = [
    ["processors", `${cpus().length} x ${cpus()[0]?.model.trim() ?? "unknown"}`],
    ["memory", `${(totalmem() / 2 ** 30).toFixed(1)} GiB`],
    ["system", `Linux ${release()}, Node ${process.versions.node}`],
    ["rounds", `${rounds} of ${seconds} s per side, alternating; medians; ${sessions} sessions`],
  ] as const;
  if (found.length > 1) console.log(renderFigures(found));
  mkdirSync(dirname(html), { recursive: true });
  writeFileSync(html, renderGrowthPage(facts, found));
  console.log(`\nCurves: ${html}`);
  if (json !== null) writeFileSync(json, `${JSON.stringify({ facts, subjects: found }, null, 1)}\n`);
}
