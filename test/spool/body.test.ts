/** What is read is what was stored: each byte, whatever the length of a part, piece by piece. */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import type { MessageId } from "../../src/platform/ids.ts";
import { readBody, readSmallBodies } from "../../src/spool/body.ts";
import { createStage } from "../../src/spool/stage.ts";
import { seedMaster } from "../support/accounts.ts";
import { testDatabase } from "../support/database.ts";
import { submissionOf } from "../support/submission.ts";

const KIB = 1024;
const LONGEST_STRING_IN_THE_HEAP = 120 * KIB;

/** Every byte but NUL, in no order. */
function anyBytes(length: number): Buffer {
  return randomBytes(length).map((byte) => byte || 0xff) as Buffer;
}

async function stored(lengths: readonly number[]) {
  const database = await testDatabase();
  const { masterId, ownSubaccountId: subaccountId } = await seedMaster(database);
  const { id } = submissionOf({ masterId, subaccountId });
  const parts = lengths.map(anyBytes);
  await database.pool.query("insert into body (message_id, part, bytes) values ($1, 0, $2)", [id, parts[0]]);
  const stage = createStage(database.pool, id);
  for (const part of parts.slice(1)) await stage.write([part.subarray(0, 100), part.subarray(100)]);
  const next = (): MessageId => submissionOf({ masterId, subaccountId }).id;
  return { database, id, parts, next };
}

async function piecesOf(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

test("parts of any length come back byte by byte, in pieces that are small for the reader", async () => {
  const lengths = [256 * KIB, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 200 * KIB, 256 * KIB];
  const { database, id, parts } = await stored(lengths);
  const pieces = await piecesOf(readBody(database.pool, id, parts.length));
  expect(Buffer.concat(pieces).equals(Buffer.concat(parts))).toBe(true);
  expect(Math.max(...pieces.map((piece) => piece.length))).toBeLessThan(LONGEST_STRING_IN_THE_HEAP);
  const rest = await piecesOf(readBody(database.pool, id, parts.length, 2));
  expect(Buffer.concat(rest).equals(Buffer.concat(parts.slice(2)))).toBe(true);
});

test("an empty part is nothing, a missing one an error", async () => {
  const { database, id } = await stored([0]);
  expect(Buffer.concat(await piecesOf(readBody(database.pool, id, 1)))).toHaveLength(0);
  await expect(piecesOf(readBody(database.pool, id, 2))).rejects.toThrow("part 1 of the body is gone");
});

test("small bodies come together, each whole; one that is gone is missing", async () => {
  const { database, id, parts, next } = await stored([150 * KIB]);
  const [other, empty, gone] = [next(), next(), next()];
  const bytes = anyBytes(4 * KIB);
  const insert = "insert into body (message_id, part, bytes) values ($1, 0, $2), ($3, 0, '')";
  await database.pool.query(insert, [other, bytes, empty]);
  const found = await readSmallBodies(database.pool, [gone, other, id, empty]);
  expect([...found.keys()].toSorted()).toEqual([id, other, empty].toSorted());
  expect(Buffer.from(found.get(id)!).equals(parts[0]!)).toBe(true);
  expect(Buffer.from(found.get(other)!).equals(bytes)).toBe(true);
  expect(found.get(empty)).toHaveLength(0);
});
