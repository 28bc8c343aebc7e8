/** A delivery worker with a played spool, quick where the real one is patient. */
import { afterAll } from "vitest";
import type { Tuning } from "../../src/delivery/tuning.ts";
import { tuned } from "../../src/delivery/tuning.ts";
import { type Delivery, startDelivery } from "../../src/delivery/worker.ts";
import { createClock } from "../../src/platform/clock.ts";
import type { CapturedId } from "../../src/platform/ids.ts";
import { newId } from "../../src/platform/ids.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import type { Result, Task } from "../../src/spool/message.ts";
import { silentLog } from "../support/log.ts";
import { type Script, startUpstream, type Upstream } from "../support/upstream.ts";
import { makeTask, PlayedSpool } from "./played-spool.ts";

export type Captured = Readonly<{ task: Task; recipients: readonly string[]; bytes: Buffer }>;

/** `parts`: the body as the spool holds it, where the task does not. */
export type Given = NonNullable<Parameters<typeof makeTask>[0]> & { parts?: readonly Uint8Array[] };

export type House = Readonly<{
  delivery: Delivery;
  spool: PlayedSpool;
  upstream: Upstream;
  captured: Captured[];
  metrics: ReturnType<typeof createMetrics>;
  /** Hands a fresh message over, as the door does, and waits for its outcome. */
  deliver(given?: Given): Promise<Result>;
  /** Hands it over and goes on. */
  push(given?: Given): Task;
}>;

export type HouseOptions = Readonly<{
  script?: Script;
  /** `PORT` is the upstream's. */
  url?: string;
  tuning?: Partial<Tuning>;
  dnsServers?: string[];
  retryScheduleMs?: number[];
}>;

/** Long enough that only what hangs by intention meets it. */
const patience = { connect: 20_000, setup: 20_000, command: 20_000, body: 20_000, end: 20_000, idle: 20_000 };

export async function openHouse(options: HouseOptions = {}): Promise<House> {
  const { script, url = "smtp://127.0.0.1:PORT", tuning, dnsServers = [], retryScheduleMs = [300_000] } = options;
  const upstream = await startUpstream(script);
  const spool = new PlayedSpool();
  const metrics = createMetrics();
  const captured: Captured[] = [];
  const clock = createClock();
  const delivery = startDelivery({
    config: {
      upstreamUrl: url.replace("PORT", String(upstream.port)),
      hostname: "relay.example",
      retryScheduleMs,
      dnsServers,
    },
    clock,
    log: silentLog,
    metrics,
    spool,
    async capture(task, recipients, bytes) {
      captured.push({ task, recipients, bytes });
      return newId<CapturedId>(clock);
    },
    tuning: { gatherMs: 1, watchMs: 10, patience, mxPort: upstream.port, ...tuning },
  });
  afterAll(() => delivery.drain(0));
  function push({ parts, ...given }: Given = {}): Task {
    const task = spool.hold(makeTask(given), parts);
    delivery.handoff.offer(task.sizeBytes, task.subaccountId);
    delivery.handoff.push(task);
    return task;
  }
  async function deliver(given: Given = {}): Promise<Result> {
    const task = push(given);
    for (let n = spool.results.length + 1; ; n += 1) {
      await spool.settled(n);
      const result = spool.resultOf(task);
      if (result !== undefined) return result;
    }
  }
  return { delivery, spool, upstream, captured, metrics, deliver, push };
}

export const { breaker: usualBreaker } = tuned;

/** state, code and enhanced code of each recipient. */
export function shortOf({ recipients }: Result) {
  return recipients.map(({ state, attempt: { code, enhanced, indeterminate } }) => {
    const words: (string | number)[] = [state];
    if (code !== null) words.push(code);
    if (enhanced !== null) words.push(enhanced);
    if (indeterminate) words.push("indeterminate");
    return words.join(" ");
  });
}
