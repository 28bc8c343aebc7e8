/** Rounds put together: one line per scenario and target, medians over the rounds. */
import type { Tls } from "./connection.ts";
import type { Peak } from "./processes.ts";
import type { Round, Scenario } from "./round.ts";
import { type Latency, levels, median } from "./statistics.ts";
import { type Absent, contenderName, type TargetName } from "./target.ts";

export type Line = Readonly<{
  scenario: Scenario;
  target: TargetName;
  tls: Tls;
  acceptedPerSecond: number;
  deliveredPerSecond: number;
  lowest: number; // delivered per second of the slowest round
  highest: number;
  dot: Latency;
  mail: Latency;
  cpuPerThousand: number; // seconds
  cpuShares: readonly Readonly<{ name: string; seconds: number }>[];
  peaks: readonly Peak[];
  /** Delivered rate of the relay (its first way in) over this line's; null on the relay's own line, or without one. */
  ratio: number | null;
}>;

export type Report = Readonly<{
  machine: readonly (readonly [string, string])[];
  targets: readonly Readonly<{ name: TargetName; about: string }>[];
  absent: readonly Absent[];
  lines: readonly Line[];
  rounds: readonly Round[];
  problems: readonly string[];
}>;

/** In the order of the scenarios, and of the first rounds within them. */
export function summarise(rounds: readonly Round[]): Line[] {
  const scenarios = Map.groupBy(rounds, (round) => JSON.stringify(round.scenario));
  return [...scenarios.values()].flatMap((ofScenario) => {
    const groups = [...Map.groupBy(ofScenario, contenderName).values()];
    const relay = groups.find(([first]) => first?.target === "relay");
    const own = relay && median(relay.map((round) => round.deliveredPerSecond));
    return groups.map((group) => lineOf(group, group === relay ? undefined : own));
  });
}

function lineOf(group: readonly Round[], relay: number | undefined): Line {
  const { scenario, target, tls } = group[0]!;
  const over = (pick: (round: Round) => number): number => median(group.map(pick));
  const deliveredPerSecond = over((round) => round.deliveredPerSecond);
  const delivered = group.map((round) => round.deliveredPerSecond);
  return {
    scenario,
    target,
    tls,
    acceptedPerSecond: over((round) => round.acceptedPerSecond),
    deliveredPerSecond,
    lowest: Math.min(...delivered),
    highest: Math.max(...delivered),
    dot: middle(group.map((round) => round.dot)),
    mail: middle(group.map((round) => round.mail)),
    cpuPerThousand: over((round) => Object.values(round.cpuPerThousand).reduce((sum, one) => sum + one, 0)),
    cpuShares: Object.keys(group[0]!.cpuPerThousand).map((name) => ({
      name,
      seconds: over((round) => round.cpuPerThousand[name] ?? 0),
    })),
    peaks: highestPeaks(group),
    ratio: relay === undefined || deliveredPerSecond === 0 ? null : relay / deliveredPerSecond,
  };
}

function middle(latencies: readonly Latency[]): Latency {
  return {
    p50: median(latencies.map(({ p50 }) => p50)),
    p99: median(latencies.map(({ p99 }) => p99)),
    curve: levels.map((_, n) => median(latencies.map(({ curve }) => curve[n] ?? Number.NaN))),
  };
}

/** By program, over all rounds. */
function highestPeaks(group: readonly Round[]): Peak[] {
  const byName = Map.groupBy(
    group.flatMap((round) => round.peaks),
    (peak) => peak.name,
  );
  return [...byName].map(([name, peaks]) => ({
    name,
    processes: Math.max(...peaks.map((peak) => peak.processes)),
    peakBytes: Math.max(...peaks.map((peak) => peak.peakBytes)),
  }));
}
