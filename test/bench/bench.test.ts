/** The bench's own honesty: what it would say if a relay lost, doubled or invented mail. Rates are not judged here. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { text } from "node:stream/consumers";
import { SMTPServer } from "smtp-server";
import { describe, expect, test } from "vitest";
import { findDigits, readBenchId } from "./bench-id.ts";
import { compare } from "./compare.ts";
import { startGenerator } from "./generator.ts";
import { startHaraka } from "./haraka.ts";
import { createTemplate } from "./message.ts";
import { readOptions } from "./options.ts";
import { runRound } from "./round.ts";
import { startSink } from "./sink.ts";
import { latencyOf, median, percentile } from "./statistics.ts";
import type { Target } from "./target.ts";

const played = (port: number): Target => ({
  name: "sink",
  about: "played",
  ports: { off: port },
  logins: [{ username: "bench", password: "secret" }],
  roots: [],
  books: () => Promise.resolve([]),
  verify: () => Promise.resolve(null),
  [Symbol.asyncDispose]: () => Promise.resolve(),
});

/** Passes on each message as often as `copies` says, and always answers 250. */
async function startForger(sinkPort: number, copies: (n: number) => number) {
  let messages = 0;
  const server = new SMTPServer({
    hideSTARTTLS: true, // and AUTH in clear
    logger: false,
    disableReverseLookup: true,
    onAuth: (_auth, _session, done) => done(null, { user: "bench" }),
    onData: async (stream, _session, done) => {
      const message = `${await text(stream)}.\r\n`;
      for (let n = copies(messages++); n > 0; n--) await passOn(sinkPort, message);
      done(null);
    },
  });
  const { promise: listening, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await listening;
  const { port } = server.server.address() as AddressInfo;
  return { port, close: () => server.close(() => {}) };
}

async function passOn(port: number, message: string): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port });
  for (const line of ["", "EHLO forger\r\n", "MAIL FROM:<>\r\n", "RCPT TO:<a@b>\r\n", "DATA\r\n", message]) {
    socket.write(line);
    await once(socket, "data");
  }
  socket.destroy();
}

describe("one round", () => {
  const scenario = { sizeBytes: 4096, sessions: 4, keep: true };

  test.for([
    ["an honest target has no problems", () => 1, []],
    ["a target that loses a message is told", (n: number) => (n === 2 ? 0 : 1), ["1 lost"]],
    ["a target that doubles a message is told", (n: number) => (n === 2 ? 2 : 1), ["1 doubled"]],
  ] as const)("%s", { timeout: 30_000 }, async ([, copies, problems]) => {
    await using sink = await startSink();
    await using generator = await startGenerator(2);
    const forger = await startForger(sink.port, copies);
    const bench = { sink, generator, tls: "off", pipelining: false, patienceMs: 1000 } as const;
    const round = await runRound(bench, played(forger.port), scenario, 1, 1);
    forger.close();
    expect(round.accepted).toBeGreaterThan(3);
    expect(round.problems).toEqual(problems);
  });

  test("one message per connection brings each message once", async () => {
    await using sink = await startSink();
    await using generator = await startGenerator(1);
    const bench = { sink, generator, tls: "off", pipelining: true, patienceMs: 1000 } as const;
    const round = await runRound(bench, { ...played(sink.port), logins: [] }, { ...scenario, keep: false }, 7, 1);
    expect(round).toMatchObject({ problems: [], arrived: round.accepted, run: 7 });
  });

  test("a target that refuses is told, with its reply", async () => {
    const server = createServer((socket) => socket.end("554 no service\r\n")).listen(0, "127.0.0.1");
    await once(server, "listening");
    await using sink = await startSink();
    await using generator = await startGenerator(1);
    const bench = { sink, generator, tls: "off", pipelining: false, patienceMs: 100 } as const;
    const target = played((server.address() as AddressInfo).port);
    const round = await runRound(bench, target, scenario, 1, 1);
    server.close();
    expect(round.accepted).toBe(0);
    expect(round.problems.join()).toMatch(/\d+ refused,.*554 no service/);
  });
});

test("what was acknowledged is compared with what came, message by message", () => {
  const copies = Uint8Array.from([1, 0, 2, 1, 0]);
  expect(compare([Uint32Array.of(0, 2), Uint32Array.of(1)], copies)).toEqual({
    lost: 1,
    doubled: 1,
    unacknowledged: 1,
  });
});

test.for([512, 4096, 51_200, 2_000_000])("a message of %i bytes has that size, and carries its mark", (sizeBytes) => {
  const template = createTemplate(12, sizeBytes);
  template.stamp(345);
  const bytes = Buffer.concat(template.pieces);
  expect(template.pieces).toHaveLength(sizeBytes > 2 ** 20 ? 2 : 1);
  expect(bytes.length).toBe(sizeBytes + 3);
  expect(bytes.toString("latin1")).toMatch(/\r\n\.\r\n$/);
  expect(bytes.toString("latin1", 0, sizeBytes)).not.toMatch(/(^|\n)\.|[^\r]\n|.{999}/);
  expect(readBenchId(bytes, findDigits(bytes))).toEqual({ run: 12, sequence: 345 });
});

test("percentiles are nearest ranks, medians are the middle", () => {
  const hundred = Float32Array.from({ length: 100 }, (_, n) => 100 - n);
  expect(latencyOf([hundred.subarray(0, 30), hundred.subarray(30)])).toMatchObject({ p50: 50, p99: 99 });
  expect(percentile([], 50)).toBeNaN();
  expect([median([3, 1, 2]), median([4, 1])]).toEqual([2, 2.5]);
});

test("a peer that is not installed is left out, and told why", async () => {
  const order = { folder: "", sinkPort: 1, preload: null };
  expect(await startHaraka({ ...order, installed: null })).toMatchObject({ why: expect.stringMatching("--haraka") });
  const why = expect.stringMatching(/not in \/nowhere\/node_modules\/Haraka \(npm install/);
  expect(await startHaraka({ ...order, installed: "/nowhere" })).toEqual({ name: "haraka", why });
});

test("a folder of a further contender adds it to the targets", () => {
  const usual = ["relay", "postfix-tmpfs", "postfix-disk"];
  expect(readOptions(["--haraka", "a", "--before", "b"])).toMatchObject({ targets: [...usual, "haraka", "before"] });
  expect(readOptions(["--haraka", "a", "--targets", "haraka,sink"])).toMatchObject({ targets: ["haraka", "sink"] });
});

test("a bad option is named, and nothing starts", () => {
  expect(readOptions(["--sessions", "0"])).toMatch("--sessions");
  expect(readOptions(["--targets", "exim"])).toMatch("--targets");
  expect(readOptions(["--fast"])).toMatch("--fast");
  expect(readOptions(["--tls", "off,ssl"])).toMatch("--tls");
  expect(readOptions(["--tls", "off,starttls"])).toMatchObject({ tls: ["off", "starttls"] });
  expect(readOptions(["--help"])).toBeNull();
  expect(readOptions(["--quick"])).toMatchObject({ rounds: 1, sessions: [20], quick: true });
});
