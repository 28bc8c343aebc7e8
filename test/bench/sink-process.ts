/**
 * The other end: a bare SMTP server in a process of its own that takes everything and remembers, per run, which marks
 * came in and how often. It advertises what a well-kept mail server does, so that each relay may use what it can.
 *
 * Started by sink.ts with an IPC channel; ends when the channel closes.
 */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type BenchId, findDigits, readBenchId } from "./bench-id.ts";
import { nowMs } from "./moment.ts";
import type { SinkQuestion } from "./sink.ts";

type Run = { copies: Uint8Array; messages: number; unique: number; firstAt: number; lastAt: number };
const runs = new Map<number, Run>();
let unmarked = 0;

const open = (): Run => ({ copies: new Uint8Array(1 << 16), messages: 0, unique: 0, firstAt: 0, lastAt: 0 });

function count(run: number, sequence: number): void {
  const entry = runs.get(run) ?? open();
  runs.set(run, entry);
  if (sequence >= entry.copies.length) {
    const larger = new Uint8Array(Math.max(entry.copies.length * 2, sequence + 1));
    larger.set(entry.copies);
    entry.copies = larger;
  }
  const copies = entry.copies[sequence] ?? 0;
  if (copies === 0) entry.unique++;
  if (copies < 255) entry.copies[sequence] = copies + 1;
  entry.messages++;
  entry.lastAt = nowMs();
  if (entry.firstAt === 0) entry.firstAt = entry.lastAt;
}

const endOfData = Buffer.from("\r\n.\r\n", "latin1");
const nothing = Buffer.alloc(0);

function serve(socket: Socket): void {
  let pending: Buffer = nothing;
  let inData = false;
  let marked = false;
  let current: BenchId = { run: 0, sequence: 0 };
  let replies = "";

  const command = (line: string): void => {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === "EHLO")
      replies += "250-sink\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n";
    else if (verb === "DATA") {
      inData = true;
      marked = false;
      replies += "354 go\r\n";
    } else if (verb === "QUIT") {
      socket.end(`${replies}221 bye\r\n`);
      replies = "";
    } else replies += "250 ok\r\n";
  };

  /** Takes what it can of a message; false when more bytes are needed. */
  const data = (): boolean => {
    if (!marked) {
      const digits = findDigits(pending);
      if (digits >= 0) {
        marked = true;
        current = readBenchId(pending, digits);
      }
    }
    const end = pending.indexOf(endOfData);
    if (end < 0) {
      if (marked && pending.length > 4) pending = pending.subarray(pending.length - 4);
      return false;
    }
    if (marked) count(current.run, current.sequence);
    else unmarked++;
    inData = false;
    pending = pending.subarray(end + endOfData.length);
    replies += "250 taken\r\n";
    return true;
  };

  socket.setNoDelay(true);
  socket.write("220 sink ESMTP\r\n");
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    while (pending.length > 0) {
      if (inData) {
        if (!data()) break;
      } else {
        const end = pending.indexOf(10);
        if (end < 0) break;
        const line = pending.toString("latin1", 0, end).trimEnd();
        pending = pending.subarray(end + 1);
        command(line);
      }
    }
    if (replies !== "" && socket.writable) socket.write(replies);
    replies = "";
  });
}

const server = createServer({ noDelay: true }, serve);
server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => {
  process.send?.({ kind: "listening", port: (server.address() as AddressInfo).port });
});

process.on("message", (question: SinkQuestion) => {
  const entry = runs.get(question.run) ?? open();
  const { messages, unique, firstAt, lastAt } = entry;
  const copies = question.kind === "copies" ? entry.copies : new Uint8Array(0);
  process.send?.({ kind: "answer", number: question.number, messages, unique, firstAt, lastAt, unmarked, copies });
});
process.on("disconnect", () => process.exit(0));
