/** Clients that take what they can get, from any address of this machine, and one beside them that only wants to send. */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { openConnection } from "../bench/connection.ts";
import type { Tenant } from "../support/relay.ts";
import { makeLetter, type Sent, sendLetter } from "../support/sessions.ts";

type Login = Pick<Tenant, "username" | "password">;

export type Raw = Readonly<{
  socket: Socket;
  write(text: string | Buffer): void;
  /** Takes as much as the other side takes. False: it has closed. */
  pour(chunk: Buffer): Promise<boolean>;
  /** The last line of the next reply; empty when the connection has ended. */
  reply(): Promise<string>;
  closed: Promise<void>;
}>;

/** `from`: 127.0.0.x. */
export function connectFrom(from: string, port: number): Raw {
  const socket = connect({ host: "127.0.0.1", port, localAddress: from, noDelay: true });
  let text = "";
  let wake = () => {};
  let ended = false;
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      ended = true;
      wake();
      resolve();
    });
  });
  socket.on("error", () => {});
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    wake();
  });
  const reply = async (): Promise<string> => {
    for (;;) {
      const whole = /^(?:\d{3}-.*\r\n)*(\d{3}(?: .*)?)\r\n/.exec(text);
      if (whole !== null) {
        text = text.slice(whole[0].length);
        return whole[1]!;
      }
      if (ended) return "";
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const pour = async (chunk: Buffer): Promise<boolean> => {
    if (!ended && !socket.write(chunk)) {
      await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), closed]);
    }
    return !ended;
  };
  return { socket, write: (bytes) => void socket.write(bytes), pour, reply, closed };
}

/** The answer to the last of the lines, or to the first that is refused. */
export async function say(client: Raw, ...lines: string[]): Promise<string> {
  let answer = "";
  for (const line of lines) {
    client.write(`${line}\r\n`);
    answer = await client.reply();
    if (!/^[23]/.test(answer)) break;
  }
  return answer;
}

export function authPlain({ username, password }: Login): string {
  return `AUTH PLAIN ${Buffer.from(`\0${username}\0${password}`).toString("base64")}`;
}

const ENVELOPE = ["MAIL FROM:<app@customer.example>", "RCPT TO:<reader0@example.net>", "DATA"];
const HEADER = "From: app@customer.example\r\nSubject: large\r\n\r\n";
const CHUNK = Buffer.from(`${"x".repeat(62)}\r\n`.repeat(1024)); // 64 KiB

/** Up to the 354. */
export async function beginMessage(from: string, port: number, login: Login): Promise<Raw> {
  const client = connectFrom(from, port);
  await client.reply();
  const answer = await say(client, "EHLO client.example", authPlain(login), ...ENVELOPE);
  if (!answer.startsWith("354")) throw new Error(`no 354, but ${answer || "the end of the connection"}`);
  client.write(HEADER);
  return client;
}

/** False: it was cut off before. */
export async function pourBytes(client: Raw, bytes: number): Promise<boolean> {
  for (let sent = 0; sent < bytes; sent += CHUNK.length) if (!(await client.pour(CHUNK))) return false;
  return true;
}

/** One message of about that size on a connection of its own: the answer to it, and how long all took. */
export async function sendLarge(from: string, port: number, login: Login, bytes: number) {
  const startedAt = performance.now();
  const client = await beginMessage(from, port, login);
  await pourBytes(client, bytes);
  const answer = await say(client, ".");
  client.socket.destroy();
  return { answer, ms: performance.now() - startedAt };
}

/** Of the Message-IDs of its messages: they stand in no book. */
export const BESIDE = "beside.example";

export type Bystander = Readonly<{
  /** Waits for what is under way. `refused`: the replies, or why there was none. */
  stop(): Promise<{ served: number; refused: string[]; worstMs: number; sent: readonly Sent[] }>;
}>;

/** Logs in anew and sends a message every `everyMs`, whatever became of those before. */
export function startBystander(port: () => number, tenant: Tenant, everyMs = 200): Bystander {
  const sent: Sent[] = [];
  const refused: string[] = [];
  let worstMs = 0;
  const under = new Set<Promise<void>>();
  const send = async () => {
    const startedAt = performance.now();
    const letter = { ...makeLetter(["reader0@example.net"]), marker: `${randomBytes(9).toString("hex")}@${BESIDE}` };
    const noted = { marker: letter.marker, recipients: letter.recipients, subaccountId: tenant.subaccountId };
    try {
      const c = await openConnection({ port: port(), tls: "off", login: tenant });
      const { usable: _, ...answer } = await sendLetter(c, letter);
      c.end();
      if (answer.knowledge !== "accepted") refused.push(answer.reply);
      sent.push({ ...noted, ...answer });
    } catch (error) {
      refused.push(String(error));
    }
    worstMs = Math.max(worstMs, performance.now() - startedAt);
  };
  const once = () => {
    const one = send().finally(() => under.delete(one));
    under.add(one);
  };
  const timer = setInterval(once, everyMs);
  once();
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(under);
      return { served: sent.filter((s) => s.knowledge === "accepted").length, refused, worstMs, sent };
    },
  };
}

/** In MB: since the process began, or since `forgetPeak`. Linux only. */
export function peakMbOf(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/** Undefined: this process may open so many; else why not. */
export function tooFewDescriptors(wanted: number): string | undefined {
  const soft = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  if (soft === undefined || Number(soft) >= wanted) return undefined;
  return `${wanted} open files are needed, ${soft} are allowed: ulimit -n ${wanted}`;
}

/** All at once would overflow the listener's backlog. */
export async function inTurns<T>(count: number, atOnce: number, make: (n: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  for (let n = 0; n < count; n += atOnce) {
    const some = Array.from({ length: Math.min(atOnce, count - n) }, (_, i) => make(n + i));
    made.push(...(await Promise.all(some)));
  }
  return made;
}

export const addressOf = (n: number) => `127.0.${1 + Math.floor(n / 200)}.${1 + (n % 200)}`;
export const pause = sleep;
