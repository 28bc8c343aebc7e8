/**
 * Background jobs over graphile-worker: added in the transaction that causes them, run at least once.
 *
 * Invariant: a job that threw is tried again with growing waits; a crontab entry runs on one node only.
 * On failure: logged by name, never with its payload.
 */
import { Logger, parseCrontab, run, type TaskList } from "graphile-worker";
import { sql } from "kysely";
import type { Database, Db } from "./database.ts";
import type { Log } from "./log.ts";
import type { Metrics } from "./metrics.ts";

/** Job name -> what it does. Must be safe to run again; one that takes long ends early when `signal` says that the program stops. */
export type Tasks = Record<string, (payload: unknown, signal: AbortSignal) => Promise<void>>;

export type JobsOptions = Readonly<{
  database: Database;
  tasks: Tasks;
  /** Lines of `minute hour day month weekday name ?options`, UTC. */
  crontab?: string;
  log: Log;
  metrics?: Metrics;
  concurrency?: number;
}>;

export async function startJobs(options: JobsOptions): Promise<AsyncDisposable> {
  const { database, log, metrics, crontab = "", concurrency = 2 } = options;
  const taskList: TaskList = {};
  const stopping = new AbortController();
  for (const [job, task] of Object.entries(options.tasks)) {
    taskList[job] = async (payload) => {
      try {
        await task(payload, stopping.signal);
        metrics?.jobs.inc({ job, result: "done" });
      } catch (error) {
        metrics?.jobs.inc({ job, result: "failed" });
        log.error({ event: "job.failed", job, error: error instanceof Error ? error.message : String(error) });
        throw error;
      }
    };
  }
  const runner = await run({
    pgPool: database.pool,
    taskList,
    parsedCronItems: parseCrontab(crontab),
    concurrency,
    noHandleSignals: true,
    pollInterval: 2000,
    logger: new Logger(
      () => (level, message) => void (level === "error" && log.error({ event: "jobs.error", error: message })),
    ),
  });
  runner.promise.catch((error: unknown) => log.error({ event: "jobs.stopped", error: String(error) }));
  let stopped: Promise<void> | undefined;
  // One that has stopped by itself has said so.
  return {
    async [Symbol.asyncDispose]() {
      stopping.abort();
      stopped ??= runner.stop().catch(() => {});
      await stopped;
    },
  };
}

/** Adds a job in the caller's transaction. With `key`, a waiting job of the same key is replaced. */
export async function addJob(
  db: Db,
  job: string,
  payload: unknown,
  options: { key?: string; runAt?: Date } = {},
): Promise<void> {
  await sql`select graphile_worker.add_job(${job}, ${JSON.stringify(payload)}::json,
    run_at => ${options.runAt ?? null}::timestamptz, job_key => ${options.key ?? null}::text)`.execute(db);
}
