/** CPU time and peak memory of process trees, from /proc. Linux only: elsewhere the figures are empty. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Root } from "./target.ts";

type Process = Readonly<{ pid: number; parent: number; name: string; cpuTicks: number }>;

/** Linux counts in 1/100 s on every machine that Node runs on. */
const ticksPerSecond = 100;

/** Peak resident memory by program name, in bytes: the largest single process, and how many there were. */
export type Peak = Readonly<{ name: string; processes: number; peakBytes: number }>;

/** CPU seconds by root, children that have ended and were waited for included. */
export function cpuSeconds(roots: readonly Root[]): Record<string, number> {
  const seconds = (root: Root): number => treeOf([root]).reduce((sum, one) => sum + one.cpuTicks, 0) / ticksPerSecond;
  return Object.fromEntries(roots.map((root) => [root.name, seconds(root)]));
}

/** Lets peaks count from now on. */
export function resetPeaks(roots: readonly Root[]): void {
  for (const { pid } of treeOf(roots)) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, "5");
    } catch {
      // Gone, or another user's: its peak then counts from its start.
    }
  }
}

export function readPeaks(roots: readonly Root[]): Peak[] {
  const peaks = new Map<string, { processes: number; peakBytes: number }>();
  for (const { pid, name: thread } of treeOf(roots)) {
    const name = thread === "MainThread" ? "node" : thread;
    const line = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`));
    const peak = peaks.get(name) ?? { processes: 0, peakBytes: 0 };
    peak.processes++;
    peak.peakBytes = Math.max(peak.peakBytes, Number(line?.[1] ?? 0) * 1024);
    peaks.set(name, peak);
  }
  return [...peaks].map(([name, peak]) => ({ name, ...peak })).sort((a, b) => b.peakBytes - a.peakBytes);
}

function treeOf(roots: readonly Root[]): Process[] {
  const byParent = Map.groupBy(allProcesses(), (one) => one.parent);
  const byPid = new Map([...byParent.values()].flat().map((one) => [one.pid, one]));
  const found = new Set<Process>();
  const visit = (one: Process | undefined): void => {
    if (one === undefined || found.has(one)) return;
    found.add(one);
    byParent.get(one.pid)?.forEach(visit);
  };
  for (const { pid } of roots) visit(byPid.get(pid));
  return [...found];
}

function allProcesses(): Process[] {
  if (process.platform !== "linux") return [];
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      const line = read(`/proc/${entry}/stat`);
      // The name stands in brackets and may hold anything; what follows the last bracket is plain.
      const open = line.indexOf("(");
      const close = line.lastIndexOf(")");
      if (open < 0 || close < 0) return [];
      const rest = line.slice(close + 2).split(" ");
      const [user, system, childUser, childSystem] = rest.slice(11, 15).map(Number);
      const cpuTicks = (user ?? 0) + (system ?? 0) + (childUser ?? 0) + (childSystem ?? 0);
      return [{ pid: Number(entry), parent: Number(rest[1]), name: line.slice(open + 1, close), cpuTicks }];
    });
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
