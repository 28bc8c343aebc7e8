/**
 * A message while it arrives: line endings repaired, the header section read and completed, the content kept, and what
 * is more than one row written ahead. No MIME is parsed.
 *
 * Invariant: memory is bounded by part 0, two parts and the socket's chunk, whatever the message's size and however it is
 * cut.
 * On failure: the first fault stands, what follows it is read and dropped.
 *
 * Lines longer than 998 octets (RFC 5321 4.5.3.1.6) are passed on as they are: to cut them would change the content and
 * break signatures, and to refuse them would refuse much HTML that every server takes.
 */
import { type Head, readHead } from "../mail/head.ts";
import { createLineEndings } from "../mail/line-endings.ts";
import type { Reply } from "../mail/reply.ts";
import { PART_ZERO_BYTES } from "../spool/message.ts";
import type { Stage } from "../spool/stage.ts";
import { createHeaderSection } from "./header-section.ts";
import { createParts, type Parts, type Stored } from "./parts.ts";
import * as replies from "./replies.ts";

/** The header section and what we add to it fit into part 0. */
export const MAX_HEADER_BYTES = PART_ZERO_BYTES - 8 * 1024;

export type ContentOptions = Readonly<{
  maxBytes: number;
  /** Called once, when a message is too large for part 0. */
  openStage: () => Stage;
  /** What goes on top of the message: Received, and what its header lacks. */
  compose: (head: Head) => Buffer | Reply;
}>;

export type ContentFault = Readonly<{ reply: Reply; about: "size" | "content" | "stage" }>;
/** `addedBytes`: the length of what `compose` gave. */
export type Received = Stored & Readonly<{ head: Head; addedBytes: number; eightBit: boolean }>;

export interface Content {
  /** True when `flush` has to be awaited before the next chunk. */
  push(chunk: Buffer): boolean;
  flush(): Promise<void>;
  /** To be called once, after the last chunk. */
  end(): Promise<Received | ContentFault>;
  /** Removes what was written ahead. */
  discard(): Promise<void>;
  /** In memory. */
  readonly heldBytes: number;
}

export function createContent(options: ContentOptions): Content {
  const { maxBytes } = options;
  const endings = createLineEndings();
  const section = createHeaderSection(MAX_HEADER_BYTES);
  const parts = createParts(options.openStage);
  let head: Head | undefined;
  let addedBytes = 0;
  let fault: ContentFault | undefined;
  let rawBytes = 0;

  const fail = (about: ContentFault["about"], reply: Reply) => {
    fault ??= { about, reply };
  };
  const finishHead = (fields: Buffer, blankLine: boolean) => {
    const read = beginBody(fields, blankLine, options, parts);
    if ("code" in read) return fail("content", read);
    ({ head, addedBytes } = read);
  };
  const emit = (piece: Buffer) => {
    if (fault !== undefined) return;
    if (head === undefined) {
      const found = section.push(piece);
      if (found === "too-long") fail("content", replies.headerTooLong);
      if (found === undefined || found === "too-long") return;
      finishHead(found.fields, true);
      if (head !== undefined) parts.push(found.rest);
    } else parts.push(piece);
    // Repaired line ends make a message longer than it was sent, and we add a header.
    if (parts.sizeBytes > maxBytes + PART_ZERO_BYTES) fail("size", replies.messageTooLarge(maxBytes));
  };
  const orFail = async <T>(write: Promise<T>) => {
    try {
      return await write;
    } catch {
      return void fail("stage", replies.temporaryFailure);
    }
  };

  return {
    push(chunk) {
      rawBytes += chunk.length;
      if (rawBytes > maxBytes) fail("size", replies.messageTooLarge(maxBytes));
      if (fault === undefined) endings.push(chunk, emit);
      if (endings.nul) fail("content", replies.nulInMessage);
      return fault === undefined && parts.full;
    },
    flush: () => orFail(parts.flush()),
    async end() {
      if (fault === undefined) endings.end(emit);
      if (fault === undefined && head === undefined) finishHead(section.take(), false);
      const stored = fault === undefined ? await orFail(parts.end()) : undefined;
      if (fault !== undefined) return fault;
      return { ...(stored as Stored), head: head as unknown as Head, addedBytes, eightBit: endings.eightBit };
    },
    discard: () => parts.discard(),
    get heldBytes() {
      return section.bytes + parts.heldBytes;
    },
  };
}

type Begun = Readonly<{ head: Head; addedBytes: number }>;

/** Reads the section and begins the body with what goes on of it. */
function beginBody(section: Buffer, blankLine: boolean, options: ContentOptions, parts: Parts): Begun | Reply {
  const fields = withoutMboxLine(section);
  const head = readHead(fields);
  if (head.kind === "refused") return head.reply;
  const added = options.compose(head);
  if (!Buffer.isBuffer(added)) return added;
  for (const piece of [added, ...head.kept, LINE_END]) parts.push(piece);
  const content = fields.subarray(head.fieldBytes);
  if (content.length > 0) {
    parts.push(content); // a line that is no field: the content began without a blank line
    if (blankLine) parts.push(LINE_END);
  }
  return { head, addedBytes: added.length };
}

const LINE_END = Buffer.from("\r\n");

/** A first line `From sender date`, as files of mail have it, is no field and no content. */
function withoutMboxLine(section: Buffer): Buffer {
  const start = section.toString("latin1", 0, 6);
  if (!start.startsWith("From ") && start !== ">From ") return section;
  const end = section.indexOf("\r\n");
  return end < 0 ? section.subarray(section.length) : section.subarray(end + 2);
}
