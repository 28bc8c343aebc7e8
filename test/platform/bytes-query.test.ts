import { randomBytes } from "node:crypto";
import fc from "fast-check";
import pg from "pg";
import { afterAll, expect, test, vi } from "vitest";
import { queryWithBytes } from "../../src/platform/bytes-query.ts";
import { testDatabase } from "../support/database.ts";

const database = await testDatabase();
const client = await database.pool.connect();
afterAll(() => client.release());
const statement = { name: "bytes_test", text: "select $1::int as n, $2::text as word, $3::bytea as bytes" };
type Row = { n: number; word: string | null; bytes: Buffer };

test("the server gets all bytes in their order, beside any other parameters", async () => {
  const pieces = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 1e9 }),
      fc.constantFrom(null, "", "é", "\0x".slice(1)),
      pieces,
      async (n, word, parts) => {
        const { rows } = await queryWithBytes<Row>(client, { ...statement, values: [n, word], pieces: parts });
        expect(rows).toEqual([{ n, word, bytes: Buffer.concat(parts) }]);
      },
    ),
    { numRuns: 200 },
  );
});

test("megabytes pass, and none of them is copied by the driver", async () => {
  const pieces = Array.from({ length: 64 }, () => randomBytes(64 * 1024));
  const copied = vi.spyOn(Buffer.prototype, "copy");
  const written = vi.spyOn((client as unknown as { connection: pg.Connection }).connection.stream, "write");
  const { rows } = await queryWithBytes<{ sum: string }>(client, {
    name: "bytes_sum",
    text: "select md5($1::bytea) as sum",
    values: [],
    pieces,
  });
  expect(copied.mock.contexts.filter((buffer) => (buffer as Buffer).length >= 64 * 1024)).toEqual([]);
  for (const piece of pieces) expect(written.mock.calls.some(([bytes]) => bytes === piece)).toBe(true);
  vi.restoreAllMocks();
  const { rows: plain } = await client.query("select md5($1::bytea) as sum", [Buffer.concat(pieces)]);
  expect(rows).toEqual(plain);
});

test("an error of the statement is thrown, and the connection goes on", async () => {
  const wrong = { name: "bytes_wrong", text: "select 1 / $1::int, $2::bytea", values: [0], pieces: [Buffer.from("x")] };
  await expect(queryWithBytes(client, wrong)).rejects.toMatchObject({ code: "22012" });
  const { rows } = await queryWithBytes<Row>(client, { ...statement, values: [1, "on"], pieces: [Buffer.from("x")] });
  expect(rows[0]?.word).toBe("on");
});

test("a connection that ends is thrown, too", async () => {
  const other = new pg.Client({ connectionString: database.url });
  other.on("error", () => {});
  await other.connect();
  const { rows } = await other.query("select pg_backend_pid() as pid");
  const slow = { name: "bytes_slow", text: "select pg_sleep(60), $1::bytea", values: [], pieces: [Buffer.from("x")] };
  const failed = expect(queryWithBytes(other, slow)).rejects.toThrow();
  await vi.waitUntil(async () => {
    const { rows: active } = await database.pool.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1 and query like '%pg_sleep%'",
      [rows[0].pid],
    );
    return active.length > 0;
  });
  await failed;
  await other.end();
});

test("a driver with another Bind message is found out, and the client can be used", async () => {
  const { connection } = client as unknown as { connection: { bind: (config: { binary?: boolean }) => void } };
  const bind = vi.spyOn(connection, "bind").mockImplementation(function (this: { _send(bytes: Buffer): void }) {
    this._send(Buffer.from("B\0\0\0\x10an older form of it"));
  });
  await expect(queryWithBytes(client, { ...statement, values: [1, "x"], pieces: [] })).rejects.toThrow(/another form/);
  bind.mockRestore();
  expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
});
