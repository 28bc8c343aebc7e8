/**
 * Bodies larger than one row are written ahead, part by part, while they arrive: memory holds one part of a message,
 * whatever its size.
 *
 * Invariant: staged parts are nothing until the accept call has stored the message they belong to. Each is on disk before the
 * next is taken: an accept call after a crash of the server must not find that parts are gone.
 * On failure: `discard` removes them; what a crash leaves behind is purged after a day (spool/purge).
 */
import type { Pool } from "pg";
import { queryWithBytes } from "../platform/bytes-query.ts";
import type { MessageId } from "../platform/ids.ts";

export interface Stage {
  /** Stores the next part (from 1). Resolves when it is committed. */
  write(pieces: readonly Uint8Array[]): Promise<void>;
  discard(): Promise<void>;
  /** Parts stored so far, part 0 not counted. */
  readonly parts: number;
}

const STAGE = {
  name: "stage_part",
  text: "insert into body (message_id, part, bytes) values ($1, $2, $3)",
} as const;

export function createStage(pool: Pool, id: MessageId): Stage {
  let parts = 0;
  return {
    get parts() {
      return parts;
    },
    async write(pieces) {
      const client = await pool.connect();
      let broken: Error | undefined;
      try {
        await queryWithBytes(client, { ...STAGE, values: [id, parts + 1], pieces });
        parts += 1;
      } catch (error) {
        broken = error as Error; // a connection that may be lost is not used again
        throw error;
      } finally {
        client.release(broken);
      }
    },
    async discard() {
      if (parts === 0) return;
      await pool.query("delete from body where message_id = $1 and part > 0", [id]);
      parts = 0;
    },
  };
}
