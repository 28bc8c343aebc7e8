import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PART_BYTES, PART_ZERO_BYTES } from "../../src/spool/message.ts";
import { type Content, createContent, MAX_HEADER_BYTES, type Received } from "../../src/submission/content.ts";
import { createHeaderSection } from "../../src/submission/header-section.ts";
import { createPieces } from "../../src/submission/pieces.ts";
import { createFilled, createSlabs, type Filled, SLAB_BYTES, type Slabs } from "../../src/submission/slabs.ts";

const slabs = createSlabs();
const ADDED = Buffer.from("Received: by test\r\n");

function playStage() {
  const written: Buffer[] = [];
  return {
    written,
    get parts() {
      return written.length;
    },
    write: async (pieces: readonly Uint8Array[]) => void written.push(Buffer.concat(pieces)),
    discard: async () => void written.splice(0),
  };
}

async function through(chunks: readonly Buffer[], maxBytes = 100_000_000) {
  const stage = playStage();
  const content = createContent({ maxBytes, openStage: () => stage, slabs, compose: () => ADDED });
  for (const chunk of chunks) if (content.push(chunk)) await content.flush();
  const end = await content.end();
  return { end, stage, content };
}

function whole({ end, stage }: { end: unknown; stage: { written: readonly Buffer[] } }): string {
  return Buffer.concat([...(end as Received).partZero, ...stage.written]).toString("latin1");
}

const cut = (bytes: Buffer, places: readonly number[]): Buffer[] => {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length));
};

describe("a message while it arrives", () => {
  test("comes out the same however it is cut", async () => {
    const line = fc.constantFrom(
      "Subject: x",
      "From: a@b.example",
      "",
      "\n",
      "\r",
      "body",
      ".",
      " folded",
      "Bcc: c",
      "no field",
      "ü",
    );
    const message = fc.array(line, { maxLength: 12 }).map((lines) => Buffer.from(`${lines.join("\r\n")}\r\n`));
    await fc.assert(
      fc.asyncProperty(message, fc.array(fc.nat(), { maxLength: 8 }), async (bytes, places) => {
        const once = await through([bytes]);
        const pieces = await through(cut(bytes, places));
        if ("about" in once.end) expect(pieces.end).toEqual(once.end);
        else {
          expect(whole(pieces)).toBe(whole(once));
          expect((pieces.end as Received).sizeBytes).toBe(whole(pieces).length);
        }
      }),
    );
  });

  test.each([
    ["Subject: x\r\n\r\nbody\r\n", "Subject: x\r\n\r\nbody\r\n"],
    ["\r\nbody\r\n", "\r\nbody\r\n"],
    ["\r\n\r\nbody\r\n", "\r\n\r\nbody\r\n"],
    ["body\r\n", "\r\nbody\r\n"],
    ["", "\r\n"],
    ["Subject: x\r\n", "Subject: x\r\n\r\n"],
    ["Subject: x\r\nno field\r\n\r\nrest\r\n", "Subject: x\r\n\r\nno field\r\n\r\nrest\r\n"],
    ["From a@b Sun Nov 22 2026\r\nSubject: x\r\n\r\n", "Subject: x\r\n\r\n"],
    [">From a@b\r\n\r\nx\r\n", "\r\nx\r\n"],
    ["Subject: x\n\nbody\n", "Subject: x\r\n\r\nbody\r\n"],
  ])("%j goes on as %j behind what we add", async (from, to) => {
    expect(whole(await through([Buffer.from(from)]))).toBe(ADDED + to);
  });

  test("what does not fit into part 0 is written ahead in whole parts, and nothing is lost between them", async () => {
    const body = Buffer.alloc(3 * PART_BYTES + 12_345, "0123456789abcdef0123456789abcdef\r\n");
    const chunks = [Buffer.from("From: a@b.example\r\n\r\n")];
    for (let at = 0; at < body.length; at += 65_536) chunks.push(body.subarray(at, at + 65_536));
    const { end, stage } = await through([...chunks, Buffer.from("\r\n")]);
    const { partZero, bodyParts, sizeBytes } = end as Received;
    expect(Buffer.concat([...partZero]).length).toBe(PART_ZERO_BYTES);
    expect(stage.written.map((part) => part.length === PART_BYTES)).toEqual([true, true, false]);
    expect(bodyParts).toBe(4);
    const all = whole({ end, stage });
    expect(all.length).toBe(sizeBytes);
    expect(all.slice(0, all.length - 2).endsWith(body.toString("latin1"))).toBe(true);
  });

  test("exactly what part 0 holds needs no stage, one byte more does", async () => {
    const head = `${ADDED}From: a@b.example\r\n\r\n`.length;
    const message = (extra: number) =>
      Buffer.from(`From: a@b.example\r\n\r\n${"x".repeat(PART_ZERO_BYTES - head - 2 + extra)}\r\n`);
    expect((await through([message(0)])).end).toMatchObject({ bodyParts: 1, sizeBytes: PART_ZERO_BYTES });
    expect((await through([message(1)])).end).toMatchObject({ bodyParts: 2, sizeBytes: PART_ZERO_BYTES + 1 });
  });

  test("a message of one-byte chunks is kept in few pieces", async () => {
    const bytes = Buffer.from(`From: a@b.example\r\n\r\n${"x".repeat(60_000)}\r\n`);
    const { end } = await through(Array.from(bytes, (byte) => Buffer.from([byte])));
    expect((end as Received).partZero.length).toBeLessThan(1_100);
    expect(whole({ end, stage: { written: [] } })).toBe(ADDED + bytes.toString());
  });

  test("8-bit content is noticed", async () => {
    expect((await through([Buffer.from("From: a@b.example\r\n\r\nü\r\n")])).end).toMatchObject({ eightBit: true });
    expect((await through([Buffer.from("From: a@b.example\r\n\r\nu\r\n")])).end).toMatchObject({ eightBit: false });
  });

  test("lines of any length go through as they are", async () => {
    const text = `From: a@b.example\r\n\r\n${"x".repeat(5_000)}\r\n`;
    expect(whole(await through([Buffer.from(text)]))).toBe(ADDED + text);
  });
});

describe("a message that is refused", () => {
  const bytes = (text: string) => [Buffer.from(text, "latin1")];

  test.each([
    ["too large", bytes(`From: a@b.example\r\n\r\n${"x".repeat(1_000)}`), "size", 552],
    ["NUL", bytes("From: a@b.example\r\n\r\n\0"), "content", 550],
    ["two From", bytes("From: a@b.example\r\nFrom: a@b.example\r\n\r\n"), "content", 550],
  ])("%s", async (_, chunks, about, code) => {
    const { end } = await through(chunks, 900);
    expect(end).toMatchObject({ about, reply: { code } });
  });

  test("a header that does not end is refused at its limit, in one chunk or in many", async () => {
    const header = Buffer.from(`X: ${"y".repeat(MAX_HEADER_BYTES)}\r\n\r\n`);
    for (const chunks of [[header], cut(header, [1_000, 100_000, 200_000])]) {
      expect((await through(chunks)).end).toMatchObject({ reply: { code: 552, detail: "3.4" } });
    }
  });

  test("line ends that are repaired count: a message may not grow past all bounds", async () => {
    const { end } = await through([Buffer.from("\n\n"), Buffer.alloc(1_000_000, "\n")], 1_000_002);
    expect(end).toMatchObject({ about: "size" });
  });

  test("too large is found before the end, and no part is written any more", async () => {
    const stage = playStage();
    const content = createContent({ maxBytes: 2_000_000, openStage: () => stage, slabs, compose: () => ADDED });
    await pushAll(content, [
      Buffer.from("From: a@b.example\r\n\r\n"),
      ...Array.from({ length: 100 }, () => Buffer.alloc(65_536, "x\r\n")),
    ]);
    expect(stage.written.length).toBeLessThanOrEqual(2_000_000 / PART_BYTES);
    expect(await content.end()).toMatchObject({ about: "size" });
    await content.discard();
    expect(stage.written).toHaveLength(0);
  });

  test("a part that could not be written is our fault, not the message's", async () => {
    const stage = { ...playStage(), write: async () => Promise.reject(new Error("played")) };
    const content = createContent({ maxBytes: 9_000_000, openStage: () => stage, slabs, compose: () => ADDED });
    await pushAll(content, [
      Buffer.from("From: a@b.example\r\n\r\n"),
      ...Array.from({ length: 40 }, () => Buffer.alloc(65_536, "x\r\n")),
    ]);
    expect(await content.end()).toMatchObject({ about: "stage", reply: { code: 451 } });
  });

  async function pushAll(content: Content, chunks: readonly Buffer[]): Promise<void> {
    for (const chunk of chunks) if (content.push(chunk)) await content.flush();
  }
});

test("the header section ends at its blank line, wherever the chunks are cut", () => {
  const text = Buffer.from("A: b\r\nC: d\r\n\r\nbody\r\n\r\nmore");
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 6 }), (places) => {
      const section = createHeaderSection(1_000);
      const pieces = cut(text, places);
      const found = pieces.map((piece) => section.push(piece)).findIndex((result) => result !== undefined);
      const again = createHeaderSection(1_000);
      const result = pieces
        .slice(0, found + 1)
        .map((piece) => again.push(piece))
        .at(-1);
      expect(result).toMatchObject({ fields: Buffer.from("A: b\r\nC: d\r\n") });
    }),
  );
});

test("pieces give back what was put in", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 200 }), (arrays) => {
      const all = Buffer.concat(arrays);
      const pieces = createPieces();
      for (const bytes of arrays) pieces.push(Buffer.from(bytes));
      expect(pieces.bytes).toBe(all.length);
      expect(Buffer.concat(pieces.drain())).toEqual(all);
      expect(pieces.bytes).toBe(0);
    }),
  );
});

describe("slabs", () => {
  const turn = Buffer.from(Array.from({ length: 251 }, (_, n) => n));
  const numbered = (bytes: number, from: number) =>
    Buffer.alloc(bytes, Buffer.concat([turn.subarray(from % 251), turn.subarray(0, from % 251)]));
  const sizes = fc.array(fc.constantFrom(1, 7, SLAB_BYTES - 1, SLAB_BYTES, SLAB_BYTES + 1, 3 * SLAB_BYTES), {
    maxLength: 8,
  });

  const takenFrom = (filled: Filled, bytes: number) => {
    const { pieces, giveBack } = filled.take(bytes);
    const taken = Buffer.concat(pieces);
    giveBack();
    return taken;
  };

  /** Two that fill slabs of one pool in turn: each gets its own bytes back. */
  const apart = (shared: Slabs) =>
    fc.property(sizes, sizes, (mine, theirs) => {
      const [ours, other] = [createFilled(shared), createFilled(shared)];
      let [sent, sentByOther] = [0, 0];
      const got: Buffer[] = [];
      for (let n = 0; n < Math.max(mine.length, theirs.length); n++) {
        ours.push(numbered(mine[n] ?? 0, sent));
        sent += mine[n] ?? 0;
        other.push(numbered(theirs[n] ?? 0, 100 + sentByOther));
        sentByOther += theirs[n] ?? 0;
        if (ours.bytes >= 2 * SLAB_BYTES) got.push(takenFrom(ours, 2 * SLAB_BYTES));
      }
      got.push(takenFrom(ours, ours.bytes));
      expect(Buffer.concat(got).equals(numbered(sent, 0))).toBe(true);
      expect(takenFrom(other, other.bytes).equals(numbered(sentByOther, 100))).toBe(true);
      expect([ours.bytes, ours.heldBytes, other.heldBytes]).toEqual([0, 0, 0]);
    });

  test("give back what was put in, part by part, and what others fill meanwhile stays apart", () => {
    fc.assert(apart(createSlabs()), { numRuns: 50 });
  });

  test("control: a pool that hands out a slab that is in use is found", () => {
    const slab = Buffer.alloc(SLAB_BYTES);
    expect(fc.check(apart({ take: () => slab, give() {} }), { numRuns: 50 }).failed).toBe(true);
  });

  test("of a part that is still on its way are not used again before it is given back", () => {
    const pool = createSlabs();
    const filled = createFilled(pool);
    filled.push(Buffer.alloc(SLAB_BYTES, "a"));
    const { pieces, giveBack } = filled.take(SLAB_BYTES);
    expect(pool.take()).not.toBe(pieces[0]?.buffer);
    filled.push(Buffer.alloc(SLAB_BYTES, "b"));
    expect(pieces[0]?.equals(Buffer.alloc(SLAB_BYTES, "a"))).toBe(true);
    giveBack();
    expect(pool.take().buffer).toBe(pieces[0]?.buffer);
  });

  test("are used again", () => {
    const pool = createSlabs();
    const filled = createFilled(pool);
    filled.push(Buffer.alloc(2 * SLAB_BYTES));
    filled.drop();
    const slab = pool.take();
    pool.give(slab);
    expect(pool.take()).toBe(slab);
  });
});
