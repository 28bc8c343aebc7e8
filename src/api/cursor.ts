/**
 * Cursors: where the next page starts, opaque to the caller.
 *
 * Invariant: a cursor is only believed for the list and the filters it was made for; it carries no permission, every
 * page is narrowed by the principal anew.
 */
import { timingSafeEqual } from "node:crypto";
import type { Keyring } from "../platform/secrets.ts";
import { invalidQuery } from "./problem.ts";

export type CursorValue = string | number | null;

const TAG_BYTES = 12;

/** `list` names the list with its filters: a cursor of another is refused. */
export function encodeCursor(keyring: Keyring, list: string, values: readonly CursorValue[]): string {
  const payload = Buffer.from(JSON.stringify(values));
  return Buffer.concat([tag(keyring, list, payload), payload]).toString("base64url");
}

/** @throws Problem invalid at `name` unless this program made it for this list. */
export function decodeCursor(keyring: Keyring, list: string, cursor: string, name = "cursor"): readonly CursorValue[] {
  const bytes = Buffer.from(cursor, "base64url");
  const payload = bytes.subarray(TAG_BYTES);
  const genuine =
    bytes.length > TAG_BYTES && timingSafeEqual(tag(keyring, list, payload), bytes.subarray(0, TAG_BYTES));
  if (!genuine) {
    throw invalidQuery(name, "This is no cursor of this list with these filters; start again without one.");
  }
  return JSON.parse(payload.toString()) as CursorValue[];
}

function tag(keyring: Keyring, list: string, payload: Buffer): Buffer {
  return keyring.hash(`cursor ${list} ${payload.toString("base64")}`).subarray(0, TAG_BYTES);
}
