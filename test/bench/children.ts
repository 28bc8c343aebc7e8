/** Programs that the bench starts: each ended by its own handle, and killed if it does not go. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export type Child = Readonly<{ pid: number; process: ChildProcess; ended: Promise<unknown> }> & AsyncDisposable;

const patienceMs = 40_000;

/** Standard output is a pipe; standard error is appended to `logFile`. */
export function startChild(
  program: string,
  args: readonly string[],
  { env, logFile }: Readonly<{ env: NodeJS.ProcessEnv; logFile: string }>,
): Child {
  const log = openSync(logFile, "a");
  const child = spawn(program, args, { stdio: ["ignore", "pipe", log], env });
  closeSync(log);
  const ended = once(child, "exit");
  ended.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    process: child,
    ended,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
      child.kill("SIGTERM");
      const gone = await Promise.race([ended.then(() => true), sleep(patienceMs, false, { ref: false })]);
      if (!gone) child.kill("SIGKILL");
      await ended;
    },
  };
}
