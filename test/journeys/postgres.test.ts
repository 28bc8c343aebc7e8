/** Postgres killed under load: a commit that was acknowledged is there when it comes back. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Embedded, startEmbedded } from "../../src/platform/embedded.ts";
import { silentLog } from "../support/log.ts";
import { mutateFunction } from "../support/mutant.ts";
import { createTenant, eventually } from "../support/relay.ts";
import { HANG } from "../support/upstream.ts";
import { openScene } from "./scene.ts";

const folder = mkdtempSync(join(tmpdir(), "postmeter-test-pg-"));
let server: Embedded;

beforeAll(async () => {
  // What no commit waits for stays in memory for long: a commit that did not wait is surely lost.
  server = await startEmbedded(folder, silentLog, ["wal_writer_delay=10s", "wal_writer_flush_after=1GB"]);
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** SIGQUIT: immediate, no checkpoint, as good as a crash. It is started again by the embedded server's own watch. */
async function stopImmediately(): Promise<void> {
  const pid = server.pid() as number;
  process.kill(pid, "SIGQUIT");
  await eventually(async () => {
    const client = new pg.Client({ connectionString: server.url });
    client.on("error", () => {});
    try {
      await client.connect();
      return server.pid() !== pid;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => {});
    }
  }, "Postgres is back");
}

test("Postgres that is stopped immediately, twice, under load loses nothing that was acknowledged", async () => {
  const nobody = (line: string) => (line.includes("<reader2@") ? "550 5.1.1 Nobody here" : undefined);
  const scene = await openScene({ databaseUrl: server.url, script: { rcpt: nobody } });
  const tenant = await createTenant(scene.relay, { limit: null });
  const load = scene.load(tenant, { sessions: 20, units: (n) => 1 + (n % 3), pauseMs: 10 });
  for (let stops = 0; stops < 2; stops++) {
    await load.more(200, "accepted");
    await stopImmediately();
  }
  await load.more(100, "accepted");
  await load.stop();
  await scene.letLeasesLapse("all");
  expect(await scene.check()).toMatchObject({ faults: [], inDoubt: 0 });
});

test("control: commits that don't wait for the disk are lost with the server, and the books show it", async () => {
  const scene = await openScene({ databaseUrl: server.url, script: { mail: () => HANG } });
  const tenant = await createTenant(scene.relay, { limit: null });
  const repair = await mutateFunction(scene.database, "accept_batch", {
    from: "begin\n  -- 1. heavy rows first",
    to: "begin\n  perform set_config('synchronous_commit', 'off', true);\n  -- 1. heavy rows first",
  });
  const load = scene.load(tenant, { sessions: 8 });
  await load.more(100, "accepted");
  await load.stop();
  await scene.relay.stop("SIGKILL");
  await stopImmediately();
  await repair();
  await scene.database.pool.query("update queue set owner = null, due_at = pm_now() + interval '1 day'");
  const again = await scene.startAgain();
  const { faults } = await scene.check({ through: again });
  expect(faults).toContainEqual(expect.stringMatching(/^msg_\w+ was acknowledged, but is not charged$/));
});
