/**
 * SMTP clients that keep book: of every message what its sender knows of it afterwards. A hundred of them are a load.
 *
 * Invariant: "refused" and "unsent" are certain; from the final dot on, without a reply, it is "unknown".
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type Connection, openConnection } from "../bench/connection.ts";

export type Sender = Readonly<{ subaccountId: string; username: string; password: string }>;

export type Sent = Readonly<{
  /** The Message-ID, without brackets: unique for each try. */
  marker: string;
  subaccountId: string;
  recipients: readonly string[];
  knowledge: "accepted" | "refused" | "unknown" | "unsent";
  /** Its MAIL was taken: whatever came then came in the middle of a message. */
  begun: boolean;
  /** The reply that decided, or why there was none. */
  reply: string;
  /** `msg_...` of the 250. */
  messageId?: string;
  /** When MAIL was written, the final dot was, and the reply had come; by performance.now(). 0: it was not. */
  begunAtMs: number;
  dotAtMs: number;
  answeredAtMs: number;
}>;

export const MARKED = "load.example";

export type Letter = Readonly<{
  marker: string;
  from: string;
  /** In the header; `from` unless told. */
  author?: string;
  recipients: readonly string[];
  bodyBytes?: number;
}>;

export function makeLetter(recipients: readonly string[], from = "app@customer.example"): Letter {
  return { marker: `${randomBytes(9).toString("hex")}@${MARKED}`, from, recipients };
}

/** Recipients of a message with so many units. */
export function readers(units: number): string[] {
  return Array.from({ length: units }, (_, i) => `reader${i}@example.net`);
}

type Answer = Pick<Sent, "knowledge" | "begun" | "reply" | "begunAtMs" | "dotAtMs" | "answeredAtMs">;

/** One message over a connection that is logged in; `halfway` is waited for in the middle of its body. Never rejects. */
export async function sendLetter(
  c: Connection,
  letter: Letter,
  halfway?: () => Promise<unknown>,
): Promise<Answer & { usable: boolean }> {
  const begunAtMs = performance.now();
  let dotAtMs = 0;
  let begun = false;
  let goodbye = ""; // a 421 behind which the connection was closed
  const known = (knowledge: Sent["knowledge"], reply: string, usable: boolean) => ({
    knowledge,
    begun,
    reply,
    begunAtMs,
    dotAtMs,
    answeredAtMs: performance.now(),
    usable: usable && !reply.startsWith("421"),
  });
  try {
    c.write(`MAIL FROM:<${letter.from}>\r\n`);
    const mail = await c.reply();
    if (!mail.startsWith("250")) return known("refused", mail, true);
    begun = true;
    c.write(`${letter.recipients.map((to) => `RCPT TO:<${to}>\r\n`).join("")}DATA\r\n`);
    const replies: string[] = [];
    for (let i = 0; i <= letter.recipients.length; i++) {
      const reply = await c.reply();
      if (reply.startsWith("421")) goodbye = reply;
      replies.push(reply);
    }
    const refused = replies.find((reply, i) => !reply.startsWith(i < letter.recipients.length ? "250" : "354"));
    if (refused !== undefined) return known("refused", refused, false);
    const text = textOf(letter);
    const answer = c.reply();
    let rest = text;
    if (halfway !== undefined) {
      rest = text.slice(text.length / 2);
      c.write(text.slice(0, text.length / 2));
      const early = await Promise.race([answer, halfway().then(() => undefined)]);
      if (early !== undefined) return known("refused", early, false);
    }
    dotAtMs = performance.now();
    c.write(rest);
    const end = await answer;
    return known(end.startsWith("250") ? "accepted" : "refused", end, true);
  } catch (error) {
    return known(dotAtMs === 0 ? "unsent" : "unknown", goodbye || String(error), false);
  }
}

function textOf({ marker, from, author = from, recipients, bodyBytes = 40 }: Letter): string {
  const line = `${"Hello there. ".repeat(5)}\r\n`;
  const body = line.repeat(Math.ceil(bodyBytes / line.length));
  return `From: ${author}\r\nTo: ${recipients[0]}\r\nSubject: Hello\r\nMessage-ID: <${marker}>\r\n\r\n${body}.\r\n`;
}

export type LoadOptions = Readonly<{
  /** Of the nodes that run now; a session takes its own by its number. None: the sessions wait. */
  ports: () => readonly number[];
  senders: readonly Sender[];
  sessions: number;
  /** In all. Left out: until `stop`. */
  messages?: number;
  /** Units of the n-th message; 1 unless told. */
  units?: (n: number) => number;
  bodyBytes?: number;
  /** Waited for in the middle of each message's body. */
  halfway?: () => Promise<unknown>;
  /** Between two messages of a session. */
  pauseMs?: number;
}>;

export type Load = Readonly<{
  seen: readonly Sent[];
  /** All messages are sent. */
  done: Promise<void>;
  /** Resolves when so many more messages are known as that. */
  more(messages: number, knowledge?: Sent["knowledge"]): Promise<void>;
  /** Ends each session after its message, and gives the book. */
  stop(): Promise<readonly Sent[]>;
}>;

export function startLoad(options: LoadOptions): Load {
  const seen: Sent[] = [];
  let waiting: { left: number; knowledge: Sent["knowledge"] | undefined; resolve: () => void }[] = [];
  let stopped = false;
  let taken = 0;
  const take = () => (stopped || taken === options.messages ? undefined : taken++);
  const note = (sent: Sent) => {
    seen.push(sent);
    for (const one of waiting) {
      if (one.knowledge === undefined || one.knowledge === sent.knowledge) one.left -= 1;
      if (one.left <= 0) one.resolve();
    }
    waiting = waiting.filter((one) => one.left > 0);
  };
  const sessions = Array.from({ length: options.sessions }, (_, i) => runSession(options, i, take, note));
  const done = Promise.all(sessions).then(() => {
    for (const { resolve } of waiting) resolve();
  });
  return {
    seen,
    done,
    more: (left, knowledge) => new Promise((resolve) => waiting.push({ left, knowledge, resolve })),
    async stop() {
      stopped = true;
      await done;
      return seen;
    },
  };
}

async function runSession(
  options: LoadOptions,
  number: number,
  take: () => number | undefined,
  note: (sent: Sent) => void,
): Promise<void> {
  const { ports, senders, units = () => 1, bodyBytes, halfway, pauseMs = 0 } = options;
  const sender = senders[number % senders.length]!;
  let c: Connection | undefined;
  for (let n = take(); n !== undefined; n = take()) {
    const letter = { ...makeLetter(readers(units(n))), ...(bodyBytes === undefined ? {} : { bodyBytes }) };
    try {
      const open = ports();
      if (c === undefined && open.length === 0) throw new Error("no node");
      c ??= await openConnection({ port: open[number % open.length]!, tls: "off", login: sender });
    } catch (error) {
      note({ ...noted(letter, sender), ...NEVER, knowledge: "unsent", reply: String(error) });
      await sleep(50);
      continue;
    }
    const { usable, ...answer } = await sendLetter(c, letter, halfway);
    note({ ...noted(letter, sender), ...answer, ...idOf(answer.reply) });
    if (!usable) {
      c.end();
      c = undefined;
    }
    if (pauseMs > 0) await sleep(pauseMs);
  }
  c?.end();
}

/** Of a message for which there was no connection. */
export const NEVER = { begun: false, begunAtMs: 0, dotAtMs: 0, answeredAtMs: 0 };

const noted = ({ marker, recipients }: Letter, { subaccountId }: Sender) => ({ marker, recipients, subaccountId });

function idOf(reply: string): { messageId?: string } {
  const messageId = /Accepted as (msg_\w+)/.exec(reply)?.[1];
  return messageId === undefined ? {} : { messageId };
}

export function acceptedUnits(seen: readonly Sent[]): number {
  return seen.filter((s) => s.knowledge === "accepted").reduce((sum, s) => sum + s.recipients.length, 0);
}
