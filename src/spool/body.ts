/**
 * Reads a stored message piece by piece, so that a large one never stands in memory whole.
 *
 * The driver reads all columns as text, and bytes as text are two hexadecimal digits each. As Latin-1, where each byte is a
 * character, mail comes over as it is; only NUL is no character, and the door takes none. Pieces stay below the 128 KiB from
 * which V8 gives a string memory of its own, whose pages the kernel has to find: fifty times the cost of reading it.
 */
import type { Pool } from "pg";
import type { MessageId } from "../platform/ids.ts";

const PIECE_BYTES = 64 * 1024;

const PIECES = `generate_series(1, octet_length(b.bytes), ${PIECE_BYTES}) piece (at)`;
const TEXT = `convert_from(substring(b.bytes from piece.at for ${PIECE_BYTES}), 'LATIN1') as text`;

const READ = {
  name: "read_part",
  text: `select ${TEXT} from body b left join ${PIECES} on true where b.message_id = $1 and b.part = $2 order by piece.at`,
};

const READ_SMALL = {
  name: "read_small",
  text: `select b.message_id, ${TEXT}
           from unnest($1::uuid[]) small (id) join body b on b.message_id = small.id and b.part = 0 left join ${PIECES} on true
          order by b.message_id, piece.at`,
};

/** `text` is null in the one row of an empty part. */
type Piece = { text: string | null };

const bytesOf = ({ text }: Piece): Buffer => Buffer.from(text ?? "", "latin1");

/** Bodies of one part each, in one statement. What is gone is not in the map. */
export async function readSmallBodies(
  pool: Pool,
  ids: readonly MessageId[],
): Promise<ReadonlyMap<MessageId, Uint8Array>> {
  const { rows } = await pool.query<Piece & { message_id: MessageId }>({ ...READ_SMALL, values: [ids] });
  const pieces = Map.groupBy(rows, (row) => row.message_id);
  return new Map(
    [...pieces].map(([id, own]) => [id, own.length === 1 ? bytesOf(own[0]!) : Buffer.concat(own.map(bytesOf))]),
  );
}

/** @throws when a part is gone (its retention has passed). */
export async function* readBody(pool: Pool, id: MessageId, parts: number, from = 0): AsyncGenerator<Uint8Array> {
  for (let part = from; part < parts; part += 1) {
    const { rows } = await pool.query<Piece>({ ...READ, values: [id, part] });
    if (rows.length === 0) throw new Error(`part ${part} of the body is gone`);
    for (const row of rows) yield bytesOf(row);
  }
}
