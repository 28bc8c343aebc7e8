/** What a soak must look like at its end: nothing grows but the work that was done. Pure. */
import { median } from "../bench/statistics.ts";

export type Sample = Readonly<{
  /** Since the load began. */
  seconds: number;
  /** Of the node that lives through all. */
  rssMb: number;
  descriptors: number;
  /** NaN: the database could not be asked just then. */
  queue: number;
  accepted: number;
  /** From the final dot to the 250, of the messages accepted since the sample before; NaN without any. */
  p50Ms: number;
  p99Ms: number;
}>;

/** What is warm after that part of the time: caches, pools, compiled code, the heap's usual size. */
const WARM_UP = 0.25;
const GROWTH = 1.2;
const SLACK_MB = 24;
const SLACK_DESCRIPTORS = 12;

export type Trend = Readonly<{ warm: number; end: number; peak: number }>;

/** Medians of the quarter after the warm-up and of the last quarter: one accident does not decide. */
export function trendOf(samples: readonly Sample[], read: (sample: Sample) => number): Trend {
  const values = samples.map(read).filter((value) => !Number.isNaN(value));
  const quarter = Math.max(1, Math.floor(values.length / 4));
  const first = Math.floor(values.length * WARM_UP);
  return {
    warm: median(values.slice(first, first + quarter)),
    end: median(values.slice(-quarter)),
    peak: Math.max(...values),
  };
}

/** Violations, one line each. `idle`: descriptors before the load and after it. */
export function judge(samples: readonly Sample[], idle: Readonly<{ before: number; after: number }>): string[] {
  const memory = trendOf(samples, (s) => s.rssMb);
  const descriptors = trendOf(samples, (s) => s.descriptors);
  const found: string[] = [];
  if (memory.end > memory.warm * GROWTH + SLACK_MB) {
    found.push(`memory grew from ${memory.warm.toFixed(0)} MB after the warm-up to ${memory.end.toFixed(0)} MB`);
  }
  if (descriptors.end > descriptors.warm + SLACK_DESCRIPTORS) {
    found.push(`open descriptors grew from ${descriptors.warm} after the warm-up to ${descriptors.end}`);
  }
  // Pools of connections open when they are first needed.
  if (idle.after > Math.max(idle.before, descriptors.warm) + SLACK_DESCRIPTORS) {
    found.push(`${idle.after} descriptors stay open after the load, ${idle.before} were before it`);
  }
  if (!samples.some(({ accepted }) => accepted > 0)) found.push("nothing was accepted");
  return found;
}
