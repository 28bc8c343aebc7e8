/**
 * Broken on purpose, for negative controls: a copy of the program with one place changed, or one function of a database.
 * A place that is not there (any more) is an error, so that no control goes blind.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { Database } from "../../src/platform/database.ts";

export type Edit = Readonly<{ from: string; to: string }>;

const root = join(import.meta.dirname, "..", "..");
const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** The main.ts of a copy in which `file` (`src/...`) is changed. */
export function mutateProgram(file: string, ...edits: Edit[]): string {
  const folder = mkdtempSync(join(tmpdir(), "postmeter-mutant-"));
  folders.push(folder);
  cpSync(join(root, "src"), join(folder, "src"), { recursive: true });
  for (const name of ["node_modules", "migrations", "config", "package.json"]) {
    symlinkSync(join(root, name), join(folder, name));
  }
  return mutateFurther(join(folder, "src", "main.ts"), file, ...edits);
}

/** Another file of the copy with that main.ts; gives the same main.ts. */
export function mutateFurther(program: string, file: string, ...edits: Edit[]): string {
  const path = join(program, "..", "..", file);
  const text = readFileSync(path, "utf8");
  writeFileSync(
    path,
    edits.reduce((changed, edit) => replaceOnce(changed, edit, file), text),
  );
  return program;
}

/** Gives what puts it right again. */
export async function mutateFunction({ pool }: Database, name: string, ...edits: Edit[]): Promise<() => Promise<void>> {
  const { rows } = await pool.query<{ text: string }>("select pg_get_functiondef($1::regproc) as text", [name]);
  const text = rows[0]?.text ?? "";
  await pool.query(edits.reduce((changed, edit) => replaceOnce(changed, edit, name), text));
  return async () => void (await pool.query(text));
}

function replaceOnce(text: string, { from, to }: Edit, place: string): string {
  const parts = text.split(from);
  if (parts.length !== 2) throw new Error(`${place} holds ${parts.length - 1} times: ${from}`);
  return parts.join(to);
}
