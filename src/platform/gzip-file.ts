/**
 * Files that outlive the power: written beside their place, flushed, and put there by a rename; read as streams, so that memory is
 * bounded whatever their size.
 *
 * On failure: nothing stands at the place that was not whole; the error is the system's own.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { open, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";

export type Digest = Readonly<{ bytes: number; sha256: string }>;

/** Of a compressed file, and of what it unpacks to. */
export type GzipDigests = Readonly<{ file: Digest; plain: Digest }>;

/** Replaces the file at `path`. */
export async function writeGzip(path: string, texts: AsyncIterable<string>): Promise<GzipDigests> {
  const plain = tally();
  const file = tally();
  await putInPlace(path, async (beside) => {
    const to = createWriteStream(beside, { mode: MODE, flush: true });
    await pipeline(Readable.from(texts), plain.tap(), createGzip(), file.tap(), to);
  });
  return { file: file.digest(), plain: plain.digest() };
}

/** Replaces the file at `path`. */
export async function writeText(path: string, text: string): Promise<void> {
  await putInPlace(path, (beside) => writeFile(beside, text, { mode: MODE, flush: true }));
}

const MODE = 0o600;

async function putInPlace(path: string, write: (beside: string) => Promise<void>): Promise<void> {
  const beside = `${path}.part`;
  try {
    await write(beside);
    await rename(beside, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/** A name is as durable as its folder. Windows has no such call. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(path, "r");
  await folder.sync().finally(() => folder.close());
}

export async function digestFile(path: string): Promise<Digest> {
  const seen = tally();
  for await (const chunk of createReadStream(path)) seen.take(chunk as Buffer);
  return seen.digest();
}

export async function digestTexts(texts: AsyncIterable<string>): Promise<Digest> {
  const seen = tally();
  for await (const text of texts) seen.take(Buffer.from(text));
  return seen.digest();
}

/** What a compressed file unpacks to, in pieces. */
export async function* readGzip(path: string): AsyncGenerator<string> {
  const unpacked = createGunzip().setEncoding("utf8");
  const done = pipeline(createReadStream(path), unpacked);
  done.catch(() => {}); // told by the loop
  for await (const text of unpacked) yield text as string;
  await done;
}

function tally() {
  const hash = createHash("sha256");
  let bytes = 0;
  const take = (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
  };
  return {
    take,
    tap: () =>
      new Transform({
        writableObjectMode: true, // texts too: the pieces of a page
        transform(chunk: Buffer | string, _, pass) {
          const data = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
          take(data);
          pass(null, data);
        },
      }),
    digest: (): Digest => ({ bytes, sha256: hash.digest("hex") }),
  };
}
