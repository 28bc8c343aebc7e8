/** A PostgreSQL of the soak's own, since its faults kill it. Ended with the file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll } from "vitest";
import { type Embedded, startEmbedded } from "../../src/platform/embedded.ts";
import { silentLog } from "../support/log.ts";
import { withDatabase } from "../support/template.ts";

/** To be called at the top of a test file. */
export function ownPostgres(): { server(): Embedded; freshDatabase(name: string): Promise<string> } {
  const folder = mkdtempSync(join(tmpdir(), "postmeter-test-soak-"));
  let server: Embedded;
  beforeAll(async () => {
    server = await startEmbedded(folder, silentLog, ["max_connections=300"]);
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    server: () => server,
    async freshDatabase(name) {
      const client = new pg.Client({ connectionString: server.url });
      await client.connect();
      await client.query(`create database ${name}`);
      await client.end();
      return withDatabase(server.url, name);
    },
  };
}
