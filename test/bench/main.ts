/**
 * The bench: Postmeter against Debian's Postfix, one generator and one sink for both, in alternating rounds.
 *
 * It checks what it measures: a message lost, doubled or miscounted ends it with 1. It judges no figures.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Tls } from "./connection.ts";
import { startGenerator } from "./generator.ts";
import { growth } from "./growth.ts";
import { machine } from "./machine.ts";
import { help, type Options, readOptions } from "./options.ts";
import { renderPage } from "./page.ts";
import { type Bench, type Round, runRound, type Scenario } from "./round.ts";
import { type Sink, startSink } from "./sink.ts";
import { makeSlowDisk } from "./slow-disk.ts";
import { type Report, summarise } from "./summary.ts";
import { renderTable, scenarioName } from "./table.ts";
import { contenderName, type Target } from "./target.ts";
import { startTargets } from "./targets.ts";

const [first, ...others] = process.argv.slice(2);
process.exitCode = await (first === "growth" ? growth(others) : peers(process.argv.slice(2))).catch((error: Error) => {
  console.error(`The bench can't go on: ${error.message}`);
  return 1;
});

/** The exit code. */
async function peers(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options !== null && typeof options !== "string") return await bench(options);
  if (options === null) console.log(help);
  else console.error(`${options}\nnpm run bench -- --help shows what there is.`);
  return options === null ? 0 : 2;
}

/** 0 when every message is accounted for. */
async function bench(options: Options): Promise<number> {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
  using slow = options.fsyncMs === 0 ? null : makeSlowDisk(options.disk, options.fsyncMs);
  await using sink = await startSink();
  await using generator = await startGenerator(options.generators);
  await using targets = await startTargets(options, sink, slow?.library ?? null);
  for (const { name, why } of targets.absent) console.log(`${name} is left out: ${why}`);
  if (targets.present.length === 0) return 1;

  const contenders = targets.present.flatMap((target) => waysInto(target, options));
  const setup = { sink, generator, pipelining: options.pipelining, patienceMs: 20_000 };
  const rounds = await alternate(setup, contenders, options, interrupted.signal);
  const measured = rounds.filter((round) => round.run > contenders.length);
  const problems = [...rounds.flatMap(problemsOf), ...(await checkBooks(targets.present, rounds, sink))];
  const report: Report = {
    machine: machine(options),
    targets: targets.present.map(({ name, about }) => ({ name, about })),
    absent: targets.absent,
    lines: summarise(measured),
    rounds: measured,
    problems,
  };
  show(report, options);
  return problems.length === 0 && !interrupted.signal.aborted ? 0 : 1;
}

type Contender = Readonly<{ target: Target; tls: Tls }>;

/** As the options ask; a target that speaks no TLS takes part once, without. */
function waysInto(target: Target, { tls }: Options): Contender[] {
  const asked = tls.filter((kind) => target.ports[kind] !== undefined);
  return (asked.length > 0 ? asked : (["off"] as const)).map((kind) => ({ target, tls: kind }));
}

/** Every contender in turn within each round, so that the machine's moods meet all alike. The first runs only warm up: a relay that runs for months has compiled its code. */
async function alternate(
  setup: Omit<Bench, "tls">,
  contenders: readonly Contender[],
  options: Options,
  signal: AbortSignal,
): Promise<Round[]> {
  const rounds: Round[] = [];
  const warmUp: Scenario = { sizeBytes: 4096, sessions: 20, keep: true };
  const step = async ({ target, tls }: Contender, scenario: Scenario, seconds: number): Promise<void> => {
    if (signal.aborted) return;
    rounds.push(await runRound({ ...setup, tls }, target, scenario, rounds.length + 1, seconds));
  };
  for (const contender of contenders) await step(contender, warmUp, options.quick ? 3 : 20);
  for (const scenario of scenariosOf(options)) {
    process.stderr.write(`${scenarioName(scenario)} `);
    for (let round = 0; round < options.rounds; round++) {
      for (let n = 0; n < contenders.length; n++)
        await step(contenders[(n + round) % contenders.length]!, scenario, options.seconds);
      process.stderr.write(".");
    }
    process.stderr.write("\n");
  }
  return rounds;
}

function scenariosOf({ sizes, sessions, connections }: Options): Scenario[] {
  return sizes.flatMap((sizeBytes) =>
    connections.flatMap((kind) => sessions.map((count) => ({ sizeBytes, sessions: count, keep: kind === "kept" }))),
  );
}

function problemsOf(round: Round): string[] {
  return round.problems.map((problem) => `${contenderName(round)}, ${scenarioName(round.scenario)}: ${problem}`);
}

/** The target's own books against what the clients were told, and a last look for late copies. */
async function checkBooks(targets: readonly Target[], rounds: readonly Round[], sink: Sink): Promise<string[]> {
  const problems: string[] = [];
  for (const target of targets) {
    const own = rounds.filter((round) => round.target === target.name);
    const accepted = own.reduce((sum, round) => sum + round.accepted, 0);
    for (const { book, accepted: booked } of await target.books()) {
      if (booked !== accepted)
        problems.push(`${target.name}: ${book} says ${booked}, the clients were told ${accepted}`);
    }
    const wrong = await target.verify();
    if (wrong !== null) problems.push(`${target.name}: ${wrong}`);
  }
  for (const round of rounds) {
    const late = (await sink.count(round.run)).messages - round.arrived;
    if (late > 0) problems.push(`${contenderName(round)}, ${scenarioName(round.scenario)}: ${late} copies came late`);
  }
  return problems;
}

function show(report: Report, { html, json }: Options): void {
  console.log(renderTable(report));
  mkdirSync(dirname(html), { recursive: true });
  writeFileSync(html, renderPage(report));
  console.log(`\nPlots: ${html}`);
  if (json !== null) writeFileSync(json, `${JSON.stringify(report, null, 1)}\n`);
}
