/**
 * A prepared statement whose last parameter is bytes in pieces, written to the server's socket as they are. The driver
 * would copy them three times over, into buffers that grow: half of what a large message costs.
 *
 * It is the driver's own query with another Bind message; test/platform/bytes-query.test.ts fails when the driver's changes.
 */
import pg from "pg";

export type BytesQuery = Readonly<{
  name: string;
  /** The bytes are its last parameter. */
  text: string;
  values: readonly unknown[]; // all others
  pieces: readonly Uint8Array[];
}>;

/** @throws what a query of the client's throws */
export function queryWithBytes<Row extends pg.QueryResultRow>(
  client: pg.ClientBase,
  query: BytesQuery,
): Promise<pg.QueryResult<Row>> {
  return new Promise((resolve, reject) => {
    client.query(
      new PiecesQuery(query, (error, result) => (error ? reject(error) : resolve(result as pg.QueryResult<Row>))),
    );
  });
}

type Callback = (error: Error | undefined, result: unknown) => void;
type Wire = pg.Connection & { bind(config: unknown): void };

/** With the method of the driver that is used beyond its types. */
const DriverQuery = pg.Query as unknown as new (
  config: Readonly<{ name: string; text: string; values: unknown[] }>,
  callback: Callback,
) => pg.Query & { prepare(wire: Wire): void };

const NOTHING = Buffer.alloc(0);
/** Behind the last parameter: one format for all columns, text. */
const RESULT_FORMATS = Buffer.from([0, 1, 0, 0]);

class PiecesQuery extends DriverQuery {
  readonly #pieces: readonly Uint8Array[];

  constructor({ name, text, values, pieces }: BytesQuery, callback: Callback) {
    super({ name, text, values: [...values, NOTHING] }, callback);
    this.#pieces = pieces;
  }

  override prepare(wire: Wire): void {
    const bind = (config: unknown) => {
      for (const part of withBytes(boundBy(wire, config), this.#pieces)) wire.stream.write(part);
    };
    super.prepare(Object.create(wire, { bind: { value: bind } }));
  }
}

/** The driver's Bind message, instead of sent. */
function boundBy(wire: Wire, config: unknown): Buffer {
  let message: Buffer = NOTHING;
  wire.bind.call({ _send: (bytes: Buffer) => (message = bytes) } as unknown as Wire, config);
  return message;
}

/** Bind ends in an empty parameter's length and the formats of the result; the bytes go between them. */
function withBytes(bind: Buffer, pieces: readonly Uint8Array[]): Uint8Array[] {
  const end = bind.length - RESULT_FORMATS.length;
  if (!bind.subarray(end).equals(RESULT_FORMATS) || bind.readInt32BE(end - 4) !== 0) {
    throw new Error("the driver's Bind message has another form");
  }
  const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
  bind.writeInt32BE(bind.readInt32BE(1) + bytes, 1);
  bind.writeInt32BE(bytes, end - 4);
  return [bind.subarray(0, end), ...pieces, bind.subarray(end)];
}
