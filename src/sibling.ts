/**
 * One process of several (POSTMETER_PROCESSES): does what the primary tells it, until it is told to stop.
 *
 * Invariant: it ends by itself when the primary is gone. A signal that reaches it directly, as from a terminal, drains it.
 */
import type { Config } from "./platform/config.ts";
import type { Log } from "./platform/log.ts";
import type { Metrics } from "./platform/metrics.ts";
import { type Snapshot, sumUp, takeSnapshot } from "./platform/metrics-sum.ts";
import type { Among, Ports, Role } from "./serve.ts";
import { cutAfterDrain } from "./signals.ts";

/** What the settings say, but for this process. */
export type Order = Readonly<{ kind: "start"; first: boolean; roles: readonly Role[]; set: Partial<Config> }>;

export type ToSibling =
  | Order
  | Readonly<{ kind: "stop" | "reload" }>
  | Readonly<{ kind: "count"; id: number }>
  /** The answer to its own question: the counts of all others. */
  | Readonly<{ kind: "counted"; id: number; snapshots: readonly Snapshot[] }>;

export type FromSibling =
  | Readonly<{ kind: "here" }>
  | Readonly<{ kind: "ready"; ports: Ports; greeting: string }>
  /** `snapshot`: of the process that tells. */
  | Readonly<{ kind: "count" | "counted"; id: number; snapshot: Snapshot }>;

/** A node, or several processes of one. `greeting`: what a person in front of a terminal is shown. */
export type Running = AsyncDisposable & Readonly<{ ports: Ports; greeting: string; reload(): Promise<void> }>;

type Registry = Metrics["registry"];
export type Begun = Running & Readonly<{ registry: Registry; log: Log }>;

const COUNT_MS = 2_000;

/** Resolves when it has drained. `begin` is called once, with what the primary says. */
export async function runSibling(begin: (order: Order, among: Among) => Promise<Begun>): Promise<void> {
  const { promise: toldToStop, resolve: stop } = Promise.withResolvers<void>();
  const { promise: ordered, resolve: order } = Promise.withResolvers<Order>();
  const questions = createQuestions();
  let running: Begun | undefined;
  process.on("message", (message: ToSibling) => {
    if (message.kind === "start") order(message);
    else if (message.kind === "stop") stop();
    else if (message.kind === "counted") questions.answered(message.id, message.snapshots);
    else if (running === undefined) return;
    else if (message.kind === "count") void answerCount(running.registry, message.id);
    else running.reload().catch(reloadFailed(running.log));
  });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => stop());
  process.on("SIGHUP", () => {}); // the primary hears it, too
  tell({ kind: "here" });
  const told = await ordered;
  const scrape = async (registry: Registry) => {
    const own = await takeSnapshot(registry);
    return sumUp([own, ...(await questions.ask(own))]);
  };
  await using begun = await begin(told, told.first ? { scrape } : { silent: true });
  running = begun;
  tell({ kind: "ready", ports: begun.ports, greeting: begun.greeting });
  await toldToStop;
  cutAfterDrain();
}

export function reloadFailed(log: Log): (error: Error) => void {
  return (error) => log.error({ event: "tls.reload_failed", reason: error.message });
}

function tell(message: FromSibling): void {
  process.send?.(message, undefined, undefined, () => {}); // a primary that is gone ends this process
}

async function answerCount(registry: Registry, id: number): Promise<void> {
  tell({ kind: "counted", id, snapshot: await takeSnapshot(registry) });
}

/** To the primary, for the counts of all others; without an answer in time there are none. */
function createQuestions() {
  const open = new Map<number, (snapshots: readonly Snapshot[]) => void>();
  let last = 0;
  return {
    answered: (id: number, snapshots: readonly Snapshot[]) => open.get(id)?.(snapshots),
    ask(snapshot: Snapshot): Promise<readonly Snapshot[]> {
      const id = ++last;
      const { promise, resolve } = Promise.withResolvers<readonly Snapshot[]>();
      const late = setTimeout(resolve, COUNT_MS, []);
      open.set(id, resolve);
      tell({ kind: "count", id, snapshot });
      return promise.finally(() => {
        clearTimeout(late);
        open.delete(id);
      });
    },
  };
}
