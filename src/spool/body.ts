/** Reads a stored message part by part, so that a large one never stands in memory whole. */
import type { Pool } from "pg";
import type { MessageId } from "../platform/ids.ts";

const READ = { name: "read_part", text: "select bytes from body where message_id = $1 and part = $2" };

const READ_SMALL = {
  name: "read_small",
  text: `select b.message_id, b.bytes from unnest($1::uuid[]) small (id) join body b on b.message_id = small.id and b.part = 0`,
};

/** Bodies of one part each, in one statement. What is gone is not in the map. */
export async function readSmallBodies(
  pool: Pool,
  ids: readonly MessageId[],
): Promise<ReadonlyMap<MessageId, Uint8Array>> {
  const { rows } = await pool.query<{ message_id: MessageId; bytes: Buffer }>({ ...READ_SMALL, values: [ids] });
  return new Map(rows.map((row) => [row.message_id, row.bytes]));
}

/** @throws when a part is gone (its retention has passed). */
export async function* readBody(pool: Pool, id: MessageId, parts: number, from = 0): AsyncGenerator<Uint8Array> {
  for (let part = from; part < parts; part += 1) {
    const { rows } = await pool.query<{ bytes: Buffer }>({ ...READ, values: [id, part] });
    const row = rows[0];
    if (row === undefined) throw new Error(`part ${part} of the body is gone`);
    yield row.bytes;
  }
}
