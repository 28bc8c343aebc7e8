/**
 * Secrets made at the first start and kept in the data folder, readable by their owner only.
 *
 * Invariant: once made a secret stays the same, also when two programs start at the same moment.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { base32 } from "./secrets.ts";

export const makeSecret = () => randomBytes(32).toString("base64");
export const makeOperatorKey = () => `pm_op_${base32(randomBytes(20))}`;

/** Reads the secret, or makes it when `make` is given; "" without either. */
export function keptSecret(dataDir: string, file: string, make?: () => string): string {
  const path = join(dataDir, file);
  const kept = read(path);
  if (kept !== undefined || make === undefined) return kept ?? "";
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, `${make()}\n`, { mode: 0o600, flush: true });
  chmodSync(fresh, 0o600);
  try {
    linkSync(fresh, path); // fails when another program was first
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(fresh);
  }
  return read(path) ?? "";
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
