/** CPU time and peak memory of process trees, from /proc. Linux only: elsewhere the figures are empty. */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

type Process = Readonly<{ pid: number; parent: number; name: string; cpuTicks: number }>;

/** Linux counts in 1/100 s on every machine that Node runs on. */
const ticksPerSecond = 100;

/** Peak resident memory by program name, in bytes: the largest single process, and how many there were. */
export type Peak = Readonly<{ name: string; processes: number; peakBytes: number }>;

/** CPU seconds of the trees, children that have ended and were waited for included. */
export function cpuSeconds(roots: readonly number[]): number {
  return treeOf(roots).reduce((sum, one) => sum + one.cpuTicks, 0) / ticksPerSecond;
}

/** Lets peaks count from now on. */
export function resetPeaks(roots: readonly number[]): void {
  for (const { pid } of treeOf(roots)) {
    try {
      writeFileSync(`/proc/${pid}/clear_refs`, "5");
    } catch {
      // Gone, or another user's: its peak then counts from its start.
    }
  }
}

export function readPeaks(roots: readonly number[]): Peak[] {
  const peaks = new Map<string, { processes: number; peakBytes: number }>();
  for (const { pid, name: thread } of treeOf(roots)) {
    const name = programOf(pid) ?? thread;
    const line = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`));
    const peak = peaks.get(name) ?? { processes: 0, peakBytes: 0 };
    peak.processes++;
    peak.peakBytes = Math.max(peak.peakBytes, Number(line?.[1] ?? 0) * 1024);
    peaks.set(name, peak);
  }
  return [...peaks].map(([name, peak]) => ({ name, ...peak })).sort((a, b) => b.peakBytes - a.peakBytes);
}

function treeOf(roots: readonly number[]): Process[] {
  const byParent = Map.groupBy(allProcesses(), (one) => one.parent);
  const byPid = new Map([...byParent.values()].flat().map((one) => [one.pid, one]));
  const found = new Set<Process>();
  const visit = (one: Process | undefined): void => {
    if (one === undefined || found.has(one)) return;
    found.add(one);
    byParent.get(one.pid)?.forEach(visit);
  };
  for (const root of roots) visit(byPid.get(root));
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

/** Undefined for another user's process: its own name for itself must do. */
function programOf(pid: number): string | undefined {
  try {
    return basename(readlinkSync(`/proc/${pid}/exe`));
  } catch {
    return undefined;
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
