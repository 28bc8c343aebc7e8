/** Holds the sink's process and asks it what arrived. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";

export type SinkQuestion = Readonly<{ kind: "count" | "copies"; run: number; number: number }>;

/** Instants in ms of the machine's monotonic clock, 0 before the first message. `copies[sequence]`: how often it came. */
export type Arrivals = Readonly<{
  messages: number;
  unique: number;
  firstAt: number;
  lastAt: number;
  /** Messages without a mark since the sink started: reports, alerts, strangers. */
  unmarked: number;
  copies: Uint8Array;
}>;

export type Sink = Readonly<{
  port: number;
  pid: number;
  count(run: number): Promise<Arrivals>;
  /** The same with `copies`. */
  copies(run: number): Promise<Arrivals>;
  [Symbol.asyncDispose](): Promise<void>;
}>;

export async function startSink(): Promise<Sink> {
  const child = fork(new URL("./sink-process.ts", import.meta.url), { serialization: "advanced" });
  const ended = once(child, "exit");
  const [hello] = (await Promise.race([once(child, "message"), ended])) as [{ port?: number } | number];
  if (typeof hello !== "object" || hello?.port === undefined) throw new Error("the sink did not start");
  const waiting = new Map<number, (answer: Arrivals) => void>();
  child.on("message", (answer: Arrivals & { number: number }) => {
    waiting.get(answer.number)?.(answer);
    waiting.delete(answer.number);
  });
  let number = 0;
  const ask = (kind: SinkQuestion["kind"], run: number): Promise<Arrivals> =>
    new Promise((resolve, reject) => {
      waiting.set(++number, resolve);
      child.send({ kind, run, number } satisfies SinkQuestion, (error) => error && reject(error));
    });
  return {
    port: hello.port,
    pid: child.pid!,
    count: (run) => ask("count", run),
    copies: (run) => ask("copies", run),
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await ended;
    },
  };
}

/** Until `count` messages of the run have come, or none has for `patienceMs`. */
export async function arrived(sink: Sink, run: number, count: number, patienceMs: number): Promise<void> {
  let seen = -1;
  let progressAt = Date.now();
  for (;;) {
    const { unique } = await sink.count(run);
    if (unique >= count) return;
    if (unique > seen) progressAt = Date.now();
    else if (Date.now() - progressAt > patienceMs) return;
    seen = unique;
    await sleep(20);
  }
}
