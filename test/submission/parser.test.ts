/** Our parser against the library's: whatever comes, cut anywhere, both give the same commands and the same content. */
import fc from "fast-check";
import { SMTPStream } from "smtp-server/lib/smtp-stream.js";
import { describe, expect, test } from "vitest";
import { Parser } from "../../src/submission/parser.ts";

/** As it would be if it went on behind a message that came whole in the same piece as the one before it. */
class Library extends SMTPStream {
  override continue = Parser.prototype.continue;
}

type Given = Readonly<{ commands: readonly string[]; messages: readonly string[] }>;

/** What a parser gives of the chunks; after the command DATA comes a message. */
async function parse(parser: SMTPStream, chunks: readonly Buffer[]): Promise<Given> {
  const commands: string[] = [];
  const messages: string[] = [];
  parser.oncommand = (command, done) => {
    const text = command.toString("latin1");
    commands.push(text);
    if (text === "DATA") {
      const at = messages.push("") - 1;
      const stream = parser.startDataMode();
      stream.on("data", (piece: Buffer) => (messages[at] += piece.toString("latin1")));
      stream.on("end", () => {
        messages[at] += ` (${parser.dataBytes} bytes)`;
        parser.continue();
      });
    }
    done?.();
  };
  for (const chunk of chunks) {
    parser.write(chunk);
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
  // The library goes on after each dot that it takes out in a turn of its own.
  const dots = chunks.reduce((sum, chunk) => sum + chunk.filter((byte) => byte === 0x2e).length, 0);
  for (let turn = 0; turn < dots + 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  return { commands, messages };
}

function cut(text: string, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b);
  const borders = [0, ...ends, text.length];
  return borders.slice(1).map((end, i) => Buffer.from(text.slice(borders[i], end), "latin1"));
}

const piece = fc.constantFrom(
  "\r\n",
  ".",
  "\r",
  "\n",
  "a",
  "bc",
  "\r\n.",
  "\r\n..",
  "\r\n.\r\n",
  "NOOP\r\n",
  "\xe9",
  "\0",
);
// A message that begins with a bare LF and a dot: the library overlooks the dot, since it looks for it from the third byte on.
const content = fc
  .array(piece, { maxLength: 12 })
  .map((pieces) => pieces.join(""))
  .filter((text) => !text.startsWith("\n."));
const script = fc.tuple(fc.array(content, { minLength: 1, maxLength: 3 }), fc.array(fc.nat(), { maxLength: 8 }));

describe("commands and content", () => {
  test("are the library's, whatever they are and wherever they are cut", async () => {
    await fc.assert(
      fc.asyncProperty(script, async ([contents, places]) => {
        const chunks = cut(contents.map((text) => `DATA\r\n${text}\r\n.\r\n`).join(""), places);
        expect(await parse(new Parser(), chunks)).toEqual(await parse(new Library(), chunks));
      }),
      { numRuns: 1500 },
    );
  });

  test("one command by itself is handed on whole, and a second one waits for its answer", async () => {
    const asked: string[] = [];
    const answers: (() => void)[] = [];
    const parser = new Parser();
    parser.oncommand = (command, done) => {
      asked.push(command.toString());
      answers.push(done as () => void);
    };
    parser.write("NOOP\r\n");
    parser.write("RSET\r\nQUIT\r\n");
    expect(asked).toEqual(["NOOP"]);
    answers[0]?.();
    answers[0]?.(); // twice is once
    expect(asked).toEqual(["NOOP", "RSET"]);
  });

  test.each([
    [17, "Command line too long"],
    [16, undefined],
  ])("a line of %i octets with at most 16 allowed: %s", async (octets, error) => {
    const parser = new Parser({ maxCommandLength: 16 });
    let failed: string | undefined;
    parser.oncommand = (_, done) => done?.();
    parser.on("error", ({ message }) => (failed = message));
    parser.write(`${"x".repeat(octets)}\r\n`);
    await new Promise((resolve) => setImmediate(resolve));
    expect(failed).toBe(error);
  });

  test("control: a parser that takes any dot line for the end gives other content", async () => {
    class Careless extends Parser {
      override _feedDataStream(chunk: Buffer, done: () => void): void {
        super._feedDataStream(Buffer.from(chunk.toString("latin1").replace("\n.\n", "\r\n.\r\n"), "latin1"), done);
      }
    }
    const chunks = [Buffer.from("DATA\r\na\n.\nNOOP\r\n.\r\n")];
    expect(await parse(new Careless(), chunks)).not.toEqual(await parse(new Library(), chunks));
  });
});

test("a reader that pauses stops the writer, and gets all when it goes on", async () => {
  const parser = new Parser();
  let stream: ReturnType<Parser["startDataMode"]> | undefined;
  parser.oncommand = (_, done) => {
    stream = parser.startDataMode();
    done?.();
  };
  parser.write("DATA\r\n");
  stream?.on("data", () => {});
  stream?.pause();
  const block = Buffer.from(`${"x".repeat(998)}\r\n`.repeat(64));
  let taken = 0;
  for (let n = 0; n < 10; n += 1) parser.write(block, () => (taken += 1));
  await new Promise((resolve) => setImmediate(resolve));
  expect(taken).toBeLessThan(3);
  let bytes = 0;
  stream?.on("data", (piece: Buffer) => (bytes += piece.length));
  const ended = new Promise((resolve) => stream?.once("end", resolve));
  stream?.resume();
  parser.write(".\r\n");
  await ended;
  expect(bytes).toBe(10 * block.length);
});
