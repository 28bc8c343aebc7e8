/** A small real DNS server on loopback (UDP, RFC 1035): answers what it was told, for names asked in any case. */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { afterAll } from "vitest";

const TYPES = { A: 1, MX: 15, TXT: 16, AAAA: 28 } as const;
const CODES = { NOERROR: 0, SERVFAIL: 2, NXDOMAIN: 3 } as const;

type Records = Readonly<{
  /** A value longer than 255 bytes goes out in several strings, as the protocol wants it. */
  TXT?: readonly string[];
  MX?: readonly Readonly<{ priority: number; exchange: string }>[];
  A?: readonly string[];
}>;

export type TestDns = Readonly<{
  /** For POSTMETER_DNS_SERVERS. */
  server: string;
  /** `servfail`: an answer that says so; `silent`: no answer at all. Unknown names do not exist. */
  set(name: string, records: Records | "servfail" | "silent"): void;
  delete(name: string): void;
  /** The questions so far, `TXT name`. */
  asked: readonly string[];
}> &
  AsyncDisposable;

export async function testDns(): Promise<TestDns> {
  const zone = new Map<string, Records | "servfail" | "silent">();
  const asked: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (query, client) => answer(socket, query, client, zone, asked));
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  let closed = false;
  const dispose = async () => {
    if (closed) return;
    closed = true;
    await new Promise<void>((resolve) => socket.close(() => resolve()));
  };
  afterAll(dispose);
  return {
    server: `127.0.0.1:${socket.address().port}`,
    set: (name, records) => void zone.set(name.toLowerCase(), records),
    delete: (name) => void zone.delete(name.toLowerCase()),
    asked,
    [Symbol.asyncDispose]: dispose,
  };
}

function answer(
  socket: Socket,
  query: Buffer,
  client: RemoteInfo,
  zone: ReadonlyMap<string, Records | "servfail" | "silent">,
  asked: string[],
): void {
  const { name, end } = readName(query, 12);
  const type = query.readUInt16BE(end);
  const typeName = Object.entries(TYPES).find(([, code]) => code === type)?.[0] ?? String(type);
  asked.push(`${typeName} ${name}`);
  const found = zone.get(name.toLowerCase());
  if (found === "silent") return;
  const code = found === "servfail" ? CODES.SERVFAIL : found === undefined ? CODES.NXDOMAIN : CODES.NOERROR;
  const answers = typeof found === "object" ? answersOf(found, type) : [];
  const header = Buffer.alloc(12);
  query.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(answers.length, 6);
  socket.send(Buffer.concat([header, query.subarray(12, end + 4), ...answers]), client.port, client.address);
}

function answersOf(records: Records, type: number): Buffer[] {
  if (type === TYPES.TXT) return (records.TXT ?? []).map((value) => record(TYPES.TXT, strings(value)));
  if (type === TYPES.A) return (records.A ?? []).map((ip) => record(TYPES.A, Buffer.from(ip.split(".").map(Number))));
  if (type !== TYPES.MX) return [];
  return (records.MX ?? []).map(({ priority, exchange }) =>
    record(TYPES.MX, Buffer.concat([Buffer.from([priority >> 8, priority & 255]), writeName(exchange)])),
  );
}

/** The name is that of the question (a pointer to offset 12); TTL 0. */
function record(type: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE(0xc00c, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

function strings(value: string): Buffer {
  const bytes = Buffer.from(value);
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length || at === 0; at += 255) {
    const part = bytes.subarray(at, at + 255);
    parts.push(Buffer.from([part.length]), part);
  }
  return Buffer.concat(parts);
}

function readName(packet: Buffer, at: number): { name: string; end: number } {
  const labels: string[] = [];
  let end = at;
  for (let length = packet[end] ?? 0; length > 0; length = packet[end] ?? 0) {
    labels.push(packet.toString("latin1", end + 1, end + 1 + length));
    end += 1 + length;
  }
  return { name: labels.join("."), end: end + 1 };
}

function writeName(name: string): Buffer {
  const labels = name.split(".").filter((label) => label !== "");
  return Buffer.concat([
    ...labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)]),
    Buffer.from([0]),
  ]);
}
