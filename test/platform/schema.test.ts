import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { testDatabase } from "../support/database.ts";
import { root } from "../support/source-files.ts";

/** Table -> columns, as the types of schema-*.ts name them. */
function typed(): Record<string, string[]> {
  const read = (name: string) => readFileSync(join(root, "src", "platform", `${name}.ts`), "utf8");
  const main = read("schema");
  const files = [...main.matchAll(/from "\.\/(schema-[a-z]+)\.ts"/g)].map((match) => read(match[1]!)).join("\n");
  const tables = [...main.slice(main.indexOf("export type Schema")).matchAll(/^ {2}(\w+): (\w+);/gm)];
  return Object.fromEntries(
    tables.map(([, table = "", type = ""]) => {
      return [table, columnsOf(type, files).sort()];
    }),
  );
}

/** Of a type that is an object, or others and an object: `A & { ... }`. */
function columnsOf(type: string, files: string): string[] {
  const written = new RegExp(`export type ${type} = ((?:\\w+ & )*)\\{([^]*?)\\};?\\n(?=\\n|$)`).exec(`${files}\n`);
  const [, others = "", body = ""] = written ?? [];
  const own = [...body.matchAll(/(?:^|[\n;{])\s*(\w+)\??:/g)].map((match) => match[1]!);
  return [...others.matchAll(/\w+/g)].flatMap(([other]) => columnsOf(other, files)).concat(own);
}

test("the types name exactly the tables and columns that the migrations make", async () => {
  await using database = await testDatabase();
  const { rows } = await sql<{ table: string; columns: string[] }>`
    select c.relname as "table", array_agg(a.attname::text order by a.attname::text collate "C") as columns
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v') and not c.relispartition
       and c.relname not in ('migration', 'kysely_migration_lock')
     group by c.relname`.execute(database.db);
  expect(rows.length).toBeGreaterThan(20);
  expect(typed()).toEqual(Object.fromEntries(rows.map(({ table, columns }) => [table, columns])));
});
