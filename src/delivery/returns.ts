/** Messages on their way back to the spool untried, gathered by the delay after which they are due again. */
import type { Log } from "../platform/log.ts";
import type { Task } from "../spool/message.ts";

export type Returns = Readonly<{
  add(task: Task, delayMs: number, returned: () => void): void;
  /** Resolves when all calls under way are answered. */
  idle(): Promise<void>;
}>;

export type ReturnsOptions = Readonly<{
  release(tasks: readonly Task[], delayMs: number): Promise<void>;
  log: Log;
}>;

type Entry = Readonly<{ task: Task; delayMs: number; returned: () => void }>;

/** On failure the leases run out by themselves, which returns the messages too, only later. */
export function createReturns({ release, log }: ReturnsOptions): Returns {
  const running = new Set<Promise<void>>();
  let waiting: Entry[] = [];

  async function send(entries: readonly Entry[], delayMs: number): Promise<void> {
    const tasks = entries.map(({ task }) => task);
    try {
      await release(tasks, delayMs);
      log.info({ event: "delivery.returned", messages: tasks.length, delay_ms: delayMs }, "given back untried");
    } catch (error) {
      log.warn({ event: "delivery.return_failed", messages: tasks.length, err: error }, "leases must run out");
    }
    for (const { returned } of entries) returned();
  }

  function flush(): void {
    const all = waiting;
    waiting = [];
    for (const [delayMs, entries] of Map.groupBy(all, (entry) => entry.delayMs)) {
      const call = send(entries, delayMs).finally(() => running.delete(call));
      running.add(call);
    }
  }

  return {
    add(task, delayMs, returned) {
      if (waiting.length === 0) queueMicrotask(flush);
      waiting.push({ task, delayMs: Math.ceil(delayMs / 1000) * 1000, returned });
    },
    async idle() {
      await Promise.resolve();
      while (running.size > 0) await Promise.all(running);
    },
  };
}
