/** One round: a load on one target, until all that was accepted has arrived. */
import { setTimeout as sleep } from "node:timers/promises";
import { compare } from "./compare.ts";
import type { Tls } from "./connection.ts";
import type { Generator } from "./generator.ts";
import { cpuSeconds, type Peak, readPeaks, resetPeaks } from "./processes.ts";
import { arrived, type Sink } from "./sink.ts";
import { type Latency, latencyOf } from "./statistics.ts";
import type { Target, TargetName } from "./target.ts";

export type Scenario = Readonly<{ sizeBytes: number; sessions: number; keep: boolean }>;

export type Round = Readonly<{
  target: TargetName;
  tls: Tls;
  scenario: Scenario;
  run: number;
  accepted: number;
  arrived: number; // copies included
  acceptedPerSecond: number;
  deliveredPerSecond: number; // from the first MAIL to the last arrival
  dot: Latency; // final dot to 250
  mail: Latency; // MAIL to 250
  cpuPerThousand: Readonly<Record<string, number>>; // seconds, by program
  peaks: readonly Peak[];
  problems: readonly string[];
}>;

export type Bench = Readonly<{
  sink: Sink;
  generator: Generator;
  tls: Tls; // one of the target's ways in
  pipelining: boolean;
  /** A target that brings nothing for so long has lost what is missing. */
  patienceMs: number;
}>;

export async function runRound(
  { sink, generator, tls, pipelining, patienceMs }: Bench,
  target: Target,
  scenario: Scenario,
  run: number,
  seconds: number,
): Promise<Round> {
  const { sizeBytes, sessions, keep } = scenario;
  const port = target.ports[tls];
  if (port === undefined) throw new Error(`${target.name} has no way in with TLS ${tls}`);
  resetPeaks(target.roots);
  const cpuBefore = cpuSeconds(target.roots);
  const reports = await generator.run({
    traffic: { port, tls, pipelining, sizeBytes, keep, run },
    logins: target.logins,
    sessions,
    seconds,
  });
  const accepted = reports.reduce((sum, report) => sum + report.accepted.length, 0);
  await drained(sink, run, accepted, patienceMs);
  const cpuAfter = cpuSeconds(target.roots);
  const arrivals = await sink.copies(run);
  const startedAt = Math.min(...reports.map((report) => report.startedAt));
  const answeredAt = Math.max(...reports.map((report) => report.lastAt));
  return {
    target: target.name,
    tls,
    scenario,
    run,
    accepted,
    arrived: arrivals.messages,
    acceptedPerSecond: perSecond(accepted, answeredAt - startedAt),
    deliveredPerSecond: perSecond(arrivals.unique, arrivals.lastAt - startedAt),
    dot: latencyOf(reports.map((report) => report.dotMs)),
    mail: latencyOf(reports.map((report) => report.mailMs)),
    cpuPerThousand: Object.fromEntries(
      Object.entries(cpuAfter).map(([name, after]) => [name, ((after - (cpuBefore[name] ?? 0)) / accepted) * 1000]),
    ),
    peaks: readPeaks(target.roots),
    problems: problemsOf(
      reports,
      compare(
        reports.map((report) => report.accepted),
        arrivals.copies,
      ),
    ),
  };
}

async function drained(sink: Sink, run: number, accepted: number, patienceMs: number): Promise<void> {
  await arrived(sink, run, accepted, patienceMs);
  await sleep(200); // a copy too many would follow closely
}

function problemsOf(
  reports: Awaited<ReturnType<Generator["run"]>>,
  { lost, doubled, unacknowledged }: ReturnType<typeof compare>,
): string[] {
  const refused = reports.reduce((sum, report) => sum + report.refused, 0);
  const unknown = reports.reduce((sum, report) => sum + report.unknown, 0);
  const why = reports.flatMap((report) => report.problems).map(([text, count]) => `${count} x ${text}`);
  const counts = { lost, doubled, unacknowledged, refused, "without an answer": unknown };
  const found = Object.entries(counts).filter(([, count]) => count > 0);
  return found.length === 0 ? [] : [...found.map(([what, count]) => `${count} ${what}`), ...why.slice(0, 3)];
}

function perSecond(count: number, ms: number): number {
  return count === 0 ? 0 : (count / ms) * 1000;
}
