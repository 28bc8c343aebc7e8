/** Tables that a test changes behind the program's back, and what brings them back. */
import type { TestDatabase } from "./database.ts";

/** Their rows are afterwards what they were before, whatever `change` did to them. */
export async function putBack(
  { pool }: Pick<TestDatabase, "pool">,
  tables: readonly string[],
  change: () => Promise<void>,
): Promise<void> {
  for (const table of tables) await pool.query(`create table kept_${table} as select * from ${table}`);
  try {
    await change();
  } finally {
    for (const table of tables) {
      await pool.query(`delete from ${table}`);
      await pool.query(`insert into ${table} select * from kept_${table}`);
      await pool.query(`drop table kept_${table}`);
    }
  }
}
