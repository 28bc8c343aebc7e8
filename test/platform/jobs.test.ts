import { once } from "node:events";
import { expect, test, vi } from "vitest";
import { addJob, startJobs } from "../../src/platform/jobs.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";

test("a job of a transaction runs after its commit and never after its rollback", async () => {
  await using database = await testDatabase();
  const seen: unknown[] = [];
  const metrics = createMetrics();
  const tasks = { note: async (payload: unknown) => void seen.push(payload) };
  await using _jobs = await startJobs({ database, tasks, log: silentLog, metrics });
  const undone = database.db.transaction().execute(async (trx) => {
    await addJob(trx, "note", { n: 1 });
    throw new Error("undone");
  });
  await expect(undone).rejects.toThrow("undone");
  await database.db.transaction().execute((trx) => addJob(trx, "note", { n: 2 }));
  await vi.waitFor(() => expect(seen).toEqual([{ n: 2 }]), 10_000);
  expect(await metrics.registry.metrics()).toContain('postmeter_jobs_total{job="note",result="done"} 1');
});

test("a job that failed is kept for another try and counted", async () => {
  await using database = await testDatabase();
  const metrics = createMetrics();
  const tasks = { broken: async () => Promise.reject(new Error("no")) };
  await using _jobs = await startJobs({ database, tasks, log: silentLog, metrics });
  await addJob(database.db, "broken", {}, { key: "one" });
  await vi.waitFor(async () => {
    const { rows } = await database.pool.query("select attempts, locked_at from graphile_worker.jobs");
    expect(rows).toEqual([{ attempts: 1, locked_at: null }]);
  }, 10_000);
  expect(await metrics.registry.metrics()).toContain('postmeter_jobs_total{job="broken",result="failed"} 1');
});

test("a job that takes long is told that the program stops, and the stop waits for its end", async () => {
  await using database = await testDatabase();
  const seen: string[] = [];
  const tasks = {
    async long(_: unknown, signal: AbortSignal) {
      seen.push("begun");
      await once(signal, "abort");
      seen.push("told");
    },
  };
  const jobs = await startJobs({ database, tasks, log: silentLog });
  await addJob(database.db, "long", {});
  await vi.waitFor(() => expect(seen).toEqual(["begun"]), 10_000);
  await jobs[Symbol.asyncDispose]();
  expect(seen).toEqual(["begun", "told"]);
});
