/** Holds the generator's processes, which stay for the whole bench: their code is warm for every target alike. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { Traffic } from "./client.ts";
import type { Login } from "./target.ts";

export type GeneratorOrder = Readonly<{
  traffic: Omit<Traffic, "login">;
  /** One per session. */
  logins: readonly (Login | null)[];
  seconds: number;
  maxMessages: number;
  share: number; // this process takes the sequence numbers share, share + shares ...
  shares: number;
}>;

export type GeneratorReport = Readonly<{
  startedAt: number; // ms of the machine's monotonic clock
  lastAt: number;
  accepted: Uint32Array; // sequence numbers
  dotMs: Float32Array;
  mailMs: Float32Array;
  refused: number;
  unknown: number;
  problems: readonly (readonly [why: string, count: number])[];
}>;

export type Load = Readonly<{
  traffic: Omit<Traffic, "login">;
  logins: readonly Login[];
  sessions: number;
  seconds: number;
}>;

export type Generator = Readonly<{
  /** One report per process that took part. */
  run(load: Load): Promise<GeneratorReport[]>;
  [Symbol.asyncDispose](): Promise<void>;
}>;

/** More than this in one round can't be held in memory as single latencies; no relay of today gets there. */
const maxMessages = 2_000_000;

export async function startGenerator(processes: number): Promise<Generator> {
  const children = Array.from({ length: processes }, () =>
    fork(new URL("./generator-process.ts", import.meta.url), { serialization: "advanced" }),
  );
  await Promise.all(children.map((child) => once(child, "message")));
  return {
    run: ({ traffic, logins, sessions, seconds }) => {
      const shares = Math.min(children.length, sessions);
      const all = Array.from({ length: sessions }, (_, n) => logins[n % logins.length] ?? null);
      const orders = children.slice(0, shares).map((child, share) => {
        const own = all.filter((_, n) => n % shares === share);
        return ask(child, { traffic, logins: own, seconds, maxMessages, share, shares }, seconds + 120);
      });
      return Promise.all(orders);
    },
    async [Symbol.asyncDispose]() {
      const ended = children.map((child) => child.exitCode ?? once(child, "exit"));
      for (const child of children) if (child.connected) child.disconnect();
      await Promise.all(ended);
    },
  };
}

async function ask(child: ChildProcess, order: GeneratorOrder, timeoutSeconds: number): Promise<GeneratorReport> {
  const done = new AbortController();
  const signal = AbortSignal.any([done.signal, AbortSignal.timeout(timeoutSeconds * 1000)]);
  const answer = once(child, "message", { signal });
  const exit = once(child, "exit", { signal });
  child.send(order);
  try {
    const [report] = (await Promise.race([answer, exit])) as [GeneratorReport | number | null];
    if (report === null || typeof report === "number") throw new Error("the generator's process ended");
    return report;
  } finally {
    answer.catch(() => undefined);
    exit.catch(() => undefined);
    done.abort();
  }
}
