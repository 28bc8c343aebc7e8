import { sql } from "kysely";
import { expect, test } from "vitest";
import { migrate } from "../../src/platform/migrate.ts";
import { ensurePartitions } from "../../src/platform/partitions.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";

test("every table of the schema exists after the migrations, and a second run changes nothing", async () => {
  await using database = await testDatabase();
  await migrate(database, silentLog);
  const { rows } = await sql<{ n: number }>`select count(*)::int as n from pg_inherits`.execute(database.db);
  expect(rows[0]!.n).toBeGreaterThan(70);
  expect(await ensurePartitions(database.db)).toBe(0);
});
