/**
 * A process of the generator: runs its share of the sessions for the time it is given and reports what it saw.
 *
 * Started by generator.ts with an IPC channel; ends when the channel closes.
 */
import { type Ledger, runSession } from "./client.ts";
import type { GeneratorOrder, GeneratorReport } from "./generator.ts";
import { nowMs } from "./moment.ts";

const copyOf = (values: number[]): Float32Array => Float32Array.from(values);

/** Opens a door for all once `count` have come. */
function createBarrier(count: number): { arrive(): Promise<void>; opened: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  let missing = count;
  return {
    opened: promise,
    arrive: () => {
      if (--missing <= 0) resolve();
      return promise;
    },
  };
}

async function generate(order: GeneratorOrder): Promise<GeneratorReport> {
  const barrier = createBarrier(order.logins.length);
  const accepted: number[] = [];
  const dotMs: number[] = [];
  const mailMs: number[] = [];
  const problems = new Map<string, number>();
  const note = (why: string): void => void problems.set(why, (problems.get(why) ?? 0) + 1);
  let startedAt = 0;
  let lastAt = 0;
  let taken = 0;
  let refused = 0;
  let unknown = 0;
  void barrier.opened.then(() => {
    startedAt = nowMs();
    lastAt = startedAt;
  });
  const ledger: Ledger = {
    ready: barrier.arrive,
    take: () => {
      if (taken >= order.maxMessages || nowMs() - startedAt > order.seconds * 1000) return undefined;
      return order.share + order.shares * taken++;
    },
    accepted: (sequence, dot, mail) => {
      accepted.push(sequence);
      dotMs.push(dot);
      mailMs.push(mail);
      lastAt = nowMs();
    },
    refused: (_sequence, why) => {
      refused++;
      note(why);
    },
    unknown: (_sequence, why) => {
      unknown++;
      note(`after the final dot: ${why}`);
    },
  };
  await Promise.all(order.logins.map((login) => runSession({ ...order.traffic, login }, ledger)));
  return {
    startedAt,
    lastAt,
    accepted: Uint32Array.from(accepted),
    dotMs: copyOf(dotMs),
    mailMs: copyOf(mailMs),
    refused,
    unknown,
    problems: [...problems].slice(0, 5),
  };
}

process.on("message", (order: GeneratorOrder) => {
  void generate(order).then((report) => process.send?.(report));
});
process.on("disconnect", () => process.exit(0));
process.send?.({ kind: "ready" });
