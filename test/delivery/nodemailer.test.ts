/**
 * What is used of nodemailer beyond its documented surface. When one of these fails after an upgrade of the library, read
 * src/delivery/transport.ts against the new source before anything else.
 */
import { createRequire } from "node:module";
import net from "node:net";
import { expect, test } from "vitest";
import { Line } from "../../src/delivery/transport.ts";

async function greet(script: (socket: net.Socket) => void): Promise<{ line: Line; close: () => void }> {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    script(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const line = new Line({ host: "127.0.0.1", port: (server.address() as net.AddressInfo).port, socketCloseTimeout: 0 });
  line.on("error", () => {});
  await new Promise<void>((resolve, reject) => line.connect((error) => (error ? reject(error) : resolve())));
  return { line, close: () => server.close() };
}

function answering(lines: Record<string, string>) {
  return (socket: net.Socket) => {
    socket.write("220 hello\r\n");
    socket.on("data", (chunk) => {
      for (const command of chunk.toString().split("\r\n").slice(0, -1)) socket.write(lines[command.slice(0, 4)] ?? "");
    });
  };
}

test("the version that was read is the one installed", () => {
  const { version } = createRequire(import.meta.url)("nodemailer/package.json") as { version: string };
  expect(version).toBe("10.6.0");
});

test("the extensions of the last EHLO and the greatest size are where we look for them", async () => {
  const ehlo = "250-me\r\n250-PIPELINING\r\n250-SIZE 1234\r\n250-DSN\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n";
  const { line, close } = await greet(answering({ EHLO: ehlo }));
  expect([...line._supportedExtensions].sort()).toEqual(["8BITMIME", "DSN", "PIPELINING", "SIZE", "SMTPUTF8"]);
  expect(line._maxAllowedSize).toBe(1234);
  line.close();
  close();
});

test("replies go to the expected actions in order, whole, lines joined by LF", async () => {
  const { line, close } = await greet(answering({ EHLO: "250 me\r\n", ONE: "250-a\r\n250 b\r\n", TWO: "550 c\r\n" }));
  const replies = await new Promise<string[]>((resolve) => {
    const got: string[] = [];
    const action = (reply: string) => got.push(reply) === 2 && resolve(got);
    line._responseActions.push(action, action);
    (line._socket as net.Socket).write("ONE\r\nTWO\r\n");
  });
  expect(replies).toEqual(["250-a\n250 b", "550 c"]);
  line.close();
  close();
});

test("replies that came together are taken in one turn of the event loop, once the line is ready", async () => {
  const { line, close } = await greet(answering({ EHLO: "250 me\r\n", ONE: "250 a\r\n550 b\r\n250-c\r\n250 d\r\n" }));
  const turnsFor = (isReady: boolean) => {
    line.isReady = isReady;
    return new Promise<number>((resolve) => {
      let turns = 0;
      const count = () => {
        turns += 1;
        if (turns < 5) setImmediate(count);
      };
      const first = () => setImmediate(count);
      const last = (reply: string) => reply === "250-c\n250 d" && resolve(turns);
      line._responseActions.push(first, () => {}, last);
      (line._socket as net.Socket).write("ONE\r\n");
    });
  };
  expect(await turnsFor(true)).toBe(0);
  expect(await turnsFor(false)).toBeGreaterThan(0);
  line.close();
  close();
});

test("421 goes to its action first, then the line ends by 'end', once", async () => {
  const { line, close } = await greet(answering({ EHLO: "250 me\r\n", ONE: "421 closing\r\n" }));
  const events: string[] = [];
  const ended = new Promise<void>((resolve) => line.on("end", () => resolve()));
  line.on("end", () => events.push("end"));
  const action = (reply: string) => events.push(reply);
  line._responseActions.push(action, action);
  (line._socket as net.Socket).write("ONE\r\n");
  await ended;
  expect(events).toEqual(["421 closing", "end"]);
  close();
});

test("a connection cut while replies are due ends by 'error' and 'end', and no action is called", async () => {
  const { line, close } = await greet((socket) => {
    socket.write("220 hello\r\n");
    socket.on("data", (chunk) => (chunk.includes("EHLO") ? socket.write("250 me\r\n") : socket.destroy()));
  });
  const events: string[] = [];
  line.on("error", () => events.push("error"));
  const ended = new Promise<void>((resolve) => line.on("end", () => resolve()));
  line._responseActions.push(() => events.push("reply"));
  (line._socket as net.Socket).write("ONE\r\n");
  await ended;
  expect(events).toEqual(["error"]);
  close();
});

test("close() ends a line at once, with 'end'", async () => {
  const { line, close } = await greet(answering({ EHLO: "250 me\r\n" }));
  const socket = line._socket as net.Socket;
  let ended = 0;
  line.on("end", () => {
    ended += 1;
  });
  line.close();
  line.close();
  expect([ended, socket.destroyed]).toEqual([1, true]);
  close();
});
