/** Watches the sink while a seeded run arrives: each of its messages once. */
import { setTimeout as sleep } from "node:timers/promises";
import { compare } from "./compare.ts";
import { arrived, type Sink } from "./sink.ts";

export type Drained = Readonly<{ perSecond: number; problems: readonly string[] }>;

const patienceMs = 60_000;

/** `start` lets the messages 1 to `count` of the run go. From the first arrival to the last. */
export async function drained(sink: Sink, run: number, count: number, start: () => Promise<void>): Promise<Drained> {
  await start();
  await arrived(sink, run, count, patienceMs);
  await sleep(500); // a copy too many would follow closely
  const { copies, firstAt, lastAt, unique } = await sink.copies(run);
  const all = Uint32Array.from({ length: count }, (_, n) => n + 1);
  const counts = Object.entries(compare([all], copies)).filter(([, n]) => n > 0);
  return {
    perSecond: (unique / Math.max(lastAt - firstAt, 1)) * 1000,
    problems: counts.map(([what, n]) => `${n} of the queue ${what}`),
  };
}
