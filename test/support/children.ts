/** The processes that a program of ours has started: only those may be killed, a number alone may be anybody's by now. */
import { spawnSync } from "node:child_process";

/** Living ones, oldest first as far as numbers tell. */
export function childrenOf(parent: number | undefined): number[] {
  const { stdout } = spawnSync("ps", ["-A", "-o", "pid=,ppid=,stat="], { encoding: "utf8" });
  return stdout.split("\n").flatMap((line) => {
    const [pid, ppid, state = "Z"] = line.trim().split(/\s+/);
    return Number(ppid) === parent && !state.startsWith("Z") ? [Number(pid)] : [];
  });
}

export function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
