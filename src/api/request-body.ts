/**
 * The body of a request: JSON of at most MAX_BODY_BYTES, read once; or a file of at most MAX_UPLOAD_BYTES, given on as it comes.
 *
 * On failure: 415 for another content type, 413 for too much, 400 for what is not JSON; nothing of it reaches a rule.
 */
import type { HonoRequest } from "hono";
import { Problem } from "./problem.ts";

export const MAX_BODY_BYTES = 256 * 1024;
export const MAX_UPLOAD_BYTES = 48 * 1024 * 1024;

const JSON_TYPE = /^application\/(?:merge-patch\+)?json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;

/** Undefined when there is no body at all. */
export async function readJson(request: HonoRequest): Promise<unknown> {
  const bytes = await readBytes(request);
  if (bytes.length === 0) return undefined;
  const type = request.header("content-type") ?? "";
  if (!JSON_TYPE.test(type)) {
    throw new Problem("unsupported-media-type", "Send the body with Content-Type: application/json.", {
      headers: { Accept: "application/json, application/merge-patch+json" },
    });
  }
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as unknown;
  } catch {
    throw new Problem("bad-json", "The body is not JSON in UTF-8.");
  }
}

/** @throws Problem unsupported-media-type; while it is read too-large */
export function readUpload(request: HonoRequest, type: string): AsyncIterable<Uint8Array> {
  const given = request.header("content-type")?.split(";")[0]?.trim().toLowerCase();
  if (given === type) return limited(request);
  throw new Problem("unsupported-media-type", `Send the file with Content-Type: ${type}.`, {
    headers: { Accept: type },
  });
}

async function* limited(request: HonoRequest): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const part of request.raw.body ?? []) {
    length += part.length;
    if (length > MAX_UPLOAD_BYTES) throw new Problem("too-large", `A file has at most ${MAX_UPLOAD_BYTES} bytes.`);
    yield part;
  }
}

async function readBytes(request: HonoRequest): Promise<Uint8Array> {
  const tooLarge = () => new Problem("too-large", `A body has at most ${MAX_BODY_BYTES} bytes.`);
  if (Number(request.header("content-length") ?? 0) > MAX_BODY_BYTES) throw tooLarge();
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of request.raw.body ?? []) {
    length += part.length;
    if (length > MAX_BODY_BYTES) throw tooLarge();
    parts.push(part);
  }
  return Buffer.concat(parts);
}
