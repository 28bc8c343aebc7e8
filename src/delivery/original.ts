/** The bytes of a message for the report about it: its header, or all of it when that was asked for and is not too much. */
import type { Task } from "../spool/message.ts";

const MAX_HEADER_BYTES = 256 * 1024;
/** Larger messages are returned by their header alone (RFC 3461 6.2 leaves that to us). */
const MAX_RETURNED_BYTES = 1024 * 1024;

export type Original = Readonly<{ bytes: Uint8Array; whole: boolean }>;

/** A body that can't be read is no reason to keep the report back: it then returns nothing. */
export async function readOriginal(task: Task, read: (task: Task) => AsyncIterable<Uint8Array>): Promise<Original> {
  const whole = task.ret === "FULL" && task.sizeBytes <= MAX_RETURNED_BYTES;
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of task.bytes ?? read(task)) {
      parts.push(part);
      size += part.length;
      if (!whole && (size >= MAX_HEADER_BYTES || Buffer.from(part).includes("\r\n\r\n"))) break;
    }
  } catch {
    return { bytes: new Uint8Array(), whole: false };
  }
  return { bytes: Buffer.concat(parts), whole };
}
