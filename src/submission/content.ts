/**
 * A message while it arrives: line endings repaired, the header section read and completed, the content kept, and what
 * is more than one row written ahead. No MIME is parsed.
 *
 * Invariant: memory is bounded by part 0, two parts, a slab and the socket's chunk, whatever the message's size and however
 * it is cut.
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
import type { Slabs } from "./slabs.ts";

/** The header section and what we add to it fit into part 0. */
export const MAX_HEADER_BYTES = PART_ZERO_BYTES - 8 * 1024;

export type ContentOptions = Readonly<{
  maxBytes: number;
  /** Called once, when a message is too large for part 0. */
  openStage: () => Stage;
  slabs: Slabs;
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
  return new ArrivingContent(options);
}

class ArrivingContent implements Content {
  readonly #options: ContentOptions;
  readonly #endings = createLineEndings();
  readonly #section = createHeaderSection(MAX_HEADER_BYTES);
  readonly #parts: Parts;
  readonly #emit = (piece: Buffer): void => this.#take(piece);
  #begun: Begun | undefined; // the head is read
  #fault: ContentFault | undefined;
  #rawBytes = 0;

  constructor(options: ContentOptions) {
    this.#options = options;
    this.#parts = createParts(options.openStage, options.slabs);
  }

  push(chunk: Buffer): boolean {
    const { maxBytes } = this.#options;
    this.#rawBytes += chunk.length;
    if (this.#rawBytes > maxBytes) this.#fail("size", replies.messageTooLarge(maxBytes));
    if (this.#fault === undefined) this.#endings.push(chunk, this.#emit);
    if (this.#endings.nul) this.#fail("content", replies.nulInMessage);
    return this.#fault === undefined && this.#parts.full;
  }

  async flush(): Promise<void> {
    await this.#orFail(this.#parts.flush());
  }

  async end(): Promise<Received | ContentFault> {
    if (this.#fault === undefined) this.#endings.end(this.#emit);
    if (this.#fault === undefined && this.#begun === undefined) this.#finishHead(this.#section.take(), false);
    const stored = this.#fault === undefined ? await this.#orFail(this.#parts.end()) : undefined;
    if (this.#fault !== undefined) return this.#fault;
    return { ...(stored as Stored), ...(this.#begun as unknown as Begun), eightBit: this.#endings.eightBit };
  }

  discard(): Promise<void> {
    return this.#parts.discard();
  }

  get heldBytes(): number {
    return this.#section.bytes + this.#parts.heldBytes;
  }

  #take(piece: Buffer): void {
    if (this.#fault !== undefined) return;
    if (this.#begun !== undefined) this.#parts.push(piece);
    else this.#takeHead(piece);
    // Repaired line ends make a message longer than it was sent, and we add a header.
    const { maxBytes } = this.#options;
    if (this.#parts.sizeBytes > maxBytes + PART_ZERO_BYTES) this.#fail("size", replies.messageTooLarge(maxBytes));
  }

  #takeHead(piece: Buffer): void {
    const found = this.#section.push(piece);
    if (found === undefined) return;
    if (found === "too-long") {
      this.#fail("content", replies.headerTooLong);
      return;
    }
    this.#finishHead(found.fields, true);
    if (this.#begun !== undefined) this.#parts.push(found.rest);
  }

  #finishHead(fields: Buffer, blankLine: boolean): void {
    const read = beginBody(fields, blankLine, this.#options, this.#parts);
    if ("code" in read) this.#fail("content", read);
    else this.#begun = read;
  }

  #fail(about: ContentFault["about"], reply: Reply): void {
    this.#fault ??= { about, reply };
  }

  async #orFail<T>(write: Promise<T>): Promise<T | undefined> {
    try {
      return await write;
    } catch {
      this.#fail("stage", replies.temporaryFailure);
      return undefined;
    }
  }
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
