/** What is measured by looking, every 15 s: the queue, the oldest snapshot; and the node says that it is alive. */

import type { House } from "./house.ts";
import { oldestSnapshotSeconds } from "./platform/snapshot.ts";
import { measureQueue } from "./spool/inspect.ts";
import { seeNode } from "./spool/lease.ts";

const EVERY_MS = 15_000;

export function startSampling({ database, metrics, log, owner }: House): Disposable {
  const { db, pool } = database;
  const sample = async () => {
    const { depth, oldestSeconds } = await measureQueue(db);
    metrics.queueDepth.set(depth);
    metrics.queueOldestSeconds.set(oldestSeconds);
    metrics.oldestSnapshotSeconds.set(await oldestSnapshotSeconds(db));
    await seeNode(pool, owner);
  };
  const run = () => void sample().catch((error) => log.debug({ event: "sampling.failed", err: error }));
  run();
  const timer = setInterval(run, EVERY_MS);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
