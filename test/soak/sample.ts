/** Figures of a running soak, as the operating system, the database and the clients see them. Linux only: it reads /proc. */
import { readdirSync, readFileSync } from "node:fs";
import type { Database } from "../../src/platform/database.ts";
import { percentile } from "../bench/statistics.ts";
import type { Sent } from "../support/sessions.ts";
import type { Sample } from "./judge.ts";

export function rssMbOf(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / 1024;
}

export function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

export type Sampler = Readonly<{ samples: readonly Sample[]; take(): Promise<Sample>; stop(): void }>;

type Books = Readonly<{ pid: number; database: Database; seen: () => readonly Sent[] }>;

/** A sample each `everyMs`, from now on. */
export function startSampler({ pid, database, seen }: Books, everyMs: number): Sampler {
  const startedAt = performance.now();
  const samples: Sample[] = [];
  let read = 0;
  const take = async (): Promise<Sample> => {
    const queue = await database.pool
      .query<{ n: number }>("select count(*)::int as n from queue")
      .catch(() => undefined);
    const all = seen();
    const accepted = all.slice(read).filter((sent) => sent.knowledge === "accepted");
    read = all.length;
    const waits = accepted.map((sent) => sent.answeredAtMs - sent.dotAtMs).sort((a, b) => a - b);
    const sample = {
      seconds: (performance.now() - startedAt) / 1000,
      rssMb: rssMbOf(pid),
      descriptors: descriptorsOf(pid),
      queue: queue?.rows[0]?.n ?? Number.NaN,
      accepted: accepted.length,
      p50Ms: percentile(waits, 50),
      p99Ms: percentile(waits, 99),
    };
    samples.push(sample);
    return sample;
  };
  const timer = setInterval(() => void take().catch(() => {}), everyMs);
  return { samples, take, stop: () => clearInterval(timer) };
}
