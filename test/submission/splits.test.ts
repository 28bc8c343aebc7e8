/** A message cut into two chunks at every place, through our parser and what keeps it: what is kept never changes. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { createContent, type Received } from "../../src/submission/content.ts";
import { Parser } from "../../src/submission/parser.ts";
import { createSlabs } from "../../src/submission/slabs.ts";
import { ends, endsWithNul } from "../support/data-ends.ts";
import { ready } from "./client.ts";
import { startHouse, stored } from "./house.ts";

type Kept = Readonly<{ content: string; commands: readonly string[] }>;

const noStage = () => {
  throw new Error("too large for this test");
};

/** What is kept of a message, and the commands behind it. */
async function keep(chunks: readonly Buffer[], create = createContent): Promise<Kept> {
  const commands: string[] = [];
  const stream = new Parser({});
  stream.oncommand = (command: Buffer, done?: () => void) => {
    commands.push(command.toString("latin1"));
    done?.();
  };
  const content = create({ maxBytes: 1e6, openStage: noStage, slabs: createSlabs(), compose: () => Buffer.alloc(0) });
  const data = stream.startDataMode();
  data.on("data", (chunk: Buffer) => void content.push(chunk));
  const ended = new Promise<void>((resolve) => data.once("end", resolve));
  const written = chunks.map((chunk) => new Promise<void>((resolve) => stream.write(chunk, () => resolve())));
  await ended;
  stream.continue();
  await Promise.all(written);
  const end = await content.end();
  const said = "reply" in end ? JSON.stringify(end) : Buffer.concat([...(end as Received).partZero]).toString("latin1");
  return { content: said, commands };
}

const messageWith = (end: string) =>
  Buffer.from(`From: a@b.example\r\n\r\none${end}two${end}${end}\r\n..three\r\n.\r\nNOOP\r\nRSET\r\n`, "latin1");

/** The places where cutting changes what is kept. */
async function changes(bytes: Buffer, create = createContent): Promise<number[]> {
  const whole = await keep([bytes], create);
  const places: number[] = [];
  for (let at = 1; at < bytes.length; at += 1) {
    const cut = await keep([bytes.subarray(0, at), bytes.subarray(at)], create);
    if (cut.content !== whole.content || cut.commands.join() !== whole.commands.join()) places.push(at);
  }
  return places;
}

describe("cut at any place", () => {
  test.each([...ends, ...endsWithNul])("%j stays content, and CRLF.CRLF ends it", async (end) => {
    const bytes = messageWith(end);
    const { content, commands } = await keep([bytes]);
    expect(commands).toEqual(["NOOP", "RSET"]);
    if (end.includes("\0")) expect(content).toContain("NUL");
    else expect(content.replaceAll("\r\n", "")).not.toMatch(/[\r\n]/);
    expect(await changes(bytes)).toEqual([]);
  });

  test("the same through the door", async () => {
    const house = await startHouse({ limits: { maxErrors: 1e9, maxCommands: 1e9 } });
    house.world.limit = null;
    const client = await ready(house.submission.ports.submission);
    const text = Buffer.from(`From: app@customer.example\r\n\r\n${ends.join("x")}\r\n.\r\nNOOP\r\n`);
    const bodies = new Set<string>();
    for (let at = 1; at < text.length; at += 1) {
      for (const line of ["MAIL FROM:<app@customer.example>", "RCPT TO:<a@one.example>", "DATA"])
        await client.command(line);
      client.write(text.subarray(0, at));
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      client.write(text.subarray(at));
      expect((await client.reply())[0], `cut at ${at}`).toMatch(/^250 2\.0\.0 Accepted/);
      expect((await client.reply())[0], `cut at ${at}`).toMatch(/^250 2\.0\.0 OK/);
      const kept = stored(house, house.accepted.at(-1)!).toString("latin1");
      bodies.add(kept.slice(kept.indexOf("\r\n\r\n")));
    }
    expect(house.accepted).toHaveLength(text.length - 1);
    expect(bodies.size).toBe(1);
    client.destroy();
  });
});

describe("control", () => {
  afterEach(() => {
    vi.doUnmock("../../src/mail/line-endings.ts");
    vi.resetModules();
  });

  test("a repair that sees each chunk alone is found", async () => {
    vi.resetModules();
    vi.doMock("../../src/mail/line-endings.ts", async (original) => {
      const { createLineEndings } = await original<typeof import("../../src/mail/line-endings.ts")>();
      const push = (chunk: Buffer, emit: (piece: Buffer) => void) => {
        const own = createLineEndings();
        own.push(chunk, emit);
        own.end(emit);
      };
      return { createLineEndings: () => ({ push, end: () => {}, nul: false, eightBit: false }) };
    });
    const { createContent: forgetful } = await import("../../src/submission/content.ts");
    expect(await changes(messageWith("\r\n.\r"), forgetful)).not.toEqual([]);
  });
});
