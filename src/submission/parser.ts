/**
 * smtp-server's stream parser, with a short way for what nearly all input is: one whole command, and message content
 * without dots at the beginning of a line. test/submission/parser.test.ts holds it against the library's own, byte by byte.
 *
 * Changed: one command by itself is handed on as it is; content is searched by native code and not byte by byte, is not
 * copied when its end is unclear, and goes through one plain stream and not through a transform.
 */
import { Readable } from "node:stream";
import type { SMTPServerDataStream } from "smtp-server";
import { SMTPStream } from "smtp-server/lib/smtp-stream.js";

type Callback = (error?: Error | null) => void;

const CR = 0x0d;
const LF = 0x0a;
const DOT = 0x2e;
const NOTHING: Buffer = Buffer.alloc(0);

export class Parser extends SMTPStream {
  /** The last command came by itself: no other's reply can go out with its own. */
  alone = false;
  #held = NOTHING; // a dot at the beginning of a line, and CR: what they are is known with the next bytes
  /** The two bytes before what comes next. A message begins as if behind a line end. */
  #last: [number, number] = [CR, LF];
  #next: Callback | undefined;
  readonly #answered = (): void => {
    const next = this.#next;
    this.#next = undefined;
    next?.();
  };

  override _write(chunk: Buffer, encoding: BufferEncoding | "buffer", next: Callback): void {
    if (this._dataMode && !this.isClosed) {
      this._feedDataStream(chunk, next);
      return;
    }
    this.alone = this._remainder === "" && !this.isClosed && isOneLine(chunk, this._maxCommandLength);
    if (!this.alone) {
      super._write(chunk, encoding, next);
      return;
    }
    this.#next = next;
    this.oncommand(chunk.subarray(0, -2), this.#answered);
  }

  override startDataMode(maxBytes?: number | string | null): SMTPServerDataStream {
    this._dataMode = true;
    this._maxBytes = Number(maxBytes) || Number.POSITIVE_INFINITY;
    this.dataBytes = 0;
    this.#held = NOTHING;
    this.#last = [CR, LF];
    const stream = new Incoming() as Readable as SMTPServerDataStream;
    this._dataStream = stream;
    return stream;
  }

  override _feedDataStream(chunk: Buffer, done: Callback): void {
    const data = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = NOTHING;
    const content: Buffer[] = [];
    let from = 0; // of what is content for sure
    for (let dot = this.#firstDot(data); dot >= 0; dot = lineDot(data, dot + 1)) {
      if (data[dot + 1] === DOT) {
        content.push(data.subarray(from, dot));
        from = dot + 1;
      } else if (isUndecided(data, dot)) {
        this.#held = data.subarray(dot);
        break;
      } else if (this.#ends(data, dot)) {
        content.push(data.subarray(from, dot));
        const last = whole(content);
        this._countDataBytes(last.length);
        this._endDataMode(last, data.subarray(dot + 3), done);
        return;
      }
    }
    content.push(data.subarray(from, data.length - this.#held.length));
    this.#give(whole(content), done);
  }

  #firstDot(data: Buffer): number {
    return data[0] === DOT && this.#last[1] === LF ? 0 : lineDot(data, 0);
  }

  /** CRLF.CRLF: a bare LF before the dot does not do. */
  #ends(data: Buffer, dot: number): boolean {
    if (data[dot + 1] !== CR || data[dot + 2] !== LF) return false;
    return (dot >= 2 ? data[dot - 2] : this.#last[dot]) === CR;
  }

  /** The library forgets how to go on behind a message that came whole in the same piece as the one before it. */
  override continue(): void {
    const goOn = this._continueCallback;
    this._continueCallback = typeof goOn !== "function";
    if (typeof goOn === "function") goOn();
  }

  #give(content: Buffer, done: Callback): void {
    const stream = this._dataStream;
    if (content.length > 0) {
      this.#last = [content.at(-2) ?? this.#last[1], content.at(-1) as number];
      this._countDataBytes(content.length);
    }
    if (content.length === 0 || !stream?.writable || stream.write(content) || stream.destroyed) {
      done();
      return;
    }
    const go = () => {
      stream.off("drain", go);
      stream.off("close", go);
      done();
    };
    stream.on("drain", go);
    stream.on("close", go); // one that is destroyed never drains
  }
}

/** What the parser gives of one message; its writing side is for the library, which expects a duplex stream. */
export class Incoming extends Readable {
  byteLength = 0;
  sizeExceeded = false;
  writableEnded = false;

  constructor() {
    super({ autoDestroy: false });
  }

  get writable(): boolean {
    return !this.writableEnded && !this.destroyed;
  }

  /** False: wait for `drain`. */
  write(content: Buffer): boolean {
    return this.push(content);
  }

  end(content?: Buffer): this {
    if (content !== undefined && content.length > 0) this.push(content);
    this.writableEnded = true;
    this.push(null);
    return this;
  }

  override _read(): void {
    this.emit("drain");
  }
}

function isOneLine(chunk: Buffer, longest: number): boolean {
  const end = chunk.length - 2;
  return end >= 0 && end <= longest && chunk[end] === CR && chunk.indexOf(LF) === end + 1;
}

/** The next dot at the beginning of a line, or -1. */
function lineDot(data: Buffer, from: number): number {
  const at = data.indexOf("\n.", from, "latin1");
  return at < 0 ? -1 : at + 1;
}

function isUndecided(data: Buffer, dot: number): boolean {
  const known = data.length - dot;
  return known === 1 || (known === 2 && data[dot + 1] === CR);
}

function whole(content: readonly Buffer[]): Buffer {
  return content.length === 1 ? (content[0] as Buffer) : Buffer.concat(content);
}
