/** Tables that a test changes behind the program's back, and what brings them back. */
import type { TestDatabase } from "./database.ts";

const guarded = ["usage_entry", "credit_entry", "statement", "statement_line", "statement_profile", "statement_amount"];

/** Without what keeps them: a test may lie about the ledger, the journal of credits and statements from then on. */
export async function unguarded({ pool }: Pick<TestDatabase, "pool">): Promise<void> {
  await pool.query(guarded.map((table) => `alter table ${table} disable trigger stays`).join(";"));
}

/** Their rows are afterwards what they were before, whatever `change` did to them. */
export async function putBack(
  { pool }: Pick<TestDatabase, "pool">,
  tables: readonly string[],
  change: () => Promise<void>,
): Promise<void> {
  await unguarded({ pool });
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

/** Tells lies about the ledger and its statements, looks, and takes them back. */
export async function tampered(
  database: Pick<TestDatabase, "pool">,
  statements: readonly string[],
  look: () => Promise<void>,
): Promise<void> {
  const parts = ["statement_line", "statement_profile", "statement_amount"];
  const tables = ["usage", "usage_entry", "message", "recipient", "credit_entry", "statement", ...parts];
  for (const part of parts) await database.pool.query(`alter table ${part} drop constraint ${part}_statement_id_fkey`);
  try {
    await putBack(database, tables, async () => {
      for (const statement of statements) await database.pool.query(statement);
      await look();
    });
  } finally {
    for (const part of parts)
      await database.pool.query(`alter table ${part} add foreign key (statement_id) references statement (id)`);
  }
}
