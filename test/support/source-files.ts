/** The program's own files, for tests of its shape. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..", "..");

export type SourceFile = Readonly<{ path: string; room: string; text: string }>;

/** Paths as `src/quota/gate.ts`; room is `quota`, or `` for main.ts. */
export function sourceFiles(): SourceFile[] {
  return globSync("src/**/*.{ts,lua}", { cwd: root })
    .sort()
    .map((path) => ({
      path,
      room: path.split("/").length > 2 ? path.split("/")[1]! : "",
      text: readFileSync(join(root, path), "utf8"),
    }));
}
