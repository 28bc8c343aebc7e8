/** Clients that keep to no rule: what each was told, how many of its messages were accepted, what is wrong with that. */
import { setTimeout as pause } from "node:timers/promises";
import { eventually } from "../support/relay.ts";
import { authPlain, connectFrom, type Raw, say } from "./greed-clients.ts";
import { ENVELOPE, type Faults, logIn, type Stage } from "./wire.ts";

const HOME = "127.0.0.1";
const MESSAGE = "From: app@customer.example\r\nSubject: hello\r\n\r\nhello\r\n";

/** All replies until the connection ends. */
async function untilEnd(client: Raw): Promise<string[]> {
  const replies: string[] = [];
  for (let reply = await client.reply(); reply !== ""; reply = await client.reply()) replies.push(reply);
  return replies;
}

const raw = (stage: Stage) => connectFrom(HOME, stage.relay.ports.submission);

/** A whole session in one write, before the greeting could come. */
export async function talkEarly(stage: Stage): Promise<{ accepted: number; faults: Faults }> {
  const client = raw(stage);
  client.write(
    `${["EHLO early.example", authPlain(stage.tenant), ...ENVELOPE].join("\r\n")}\r\n${MESSAGE}.\r\nQUIT\r\n`,
  );
  const replies = await untilEnd(client);
  const codes = replies.map((reply) => reply.slice(0, 3)).join(" ");
  const served = codes === "220 250 235 250 250 354 250 221";
  const refused = /^(220 )?421$/.test(codes);
  return {
    accepted: served ? 1 : 0,
    faults: served || refused ? [] : [`who speaks first was told ${replies.join(" | ")}`],
  };
}

const requests = (stage: Stage) => {
  const smtp = ["EHLO web.example", authPlain(stage.tenant), ...ENVELOPE].join("\r\n");
  const body = `${smtp}\r\n${MESSAGE}.\r\nQUIT\r\n`;
  const head = `Host: relay.example\r\nContent-Length: ${body.length}\r\n\r\n`;
  return [
    `GET / HTTP/1.1\r\n${head}`,
    `POST / HTTP/1.1\r\n${head}${body}`,
    `POST /submit HTTP/1.0\r\n${head}${body}`,
    `PUT / HTTP/1.1\n${head.replaceAll("\r", "")}${body}`,
    `options / http/1.1\r\n${head}${body}`,
  ];
};

/** Requests of a browser, with SMTP for a body: closed with 421 at the first line. */
export async function askByHttp(stage: Stage): Promise<{ accepted: number; faults: Faults }> {
  const faults: Faults = [];
  for (const request of requests(stage)) {
    const client = raw(stage);
    client.write(request);
    const [greeting = "", ...more] = await untilEnd(client);
    const closed = greeting.startsWith("421") ? [greeting, ...more] : more;
    if (closed.length !== 1 || !closed[0]?.startsWith("421")) {
      faults.push(`${request.split(/\r?\n/)[0]} was told ${closed.join(" | ") || "nothing"}`);
    }
  }
  return { accepted: 0, faults };
}

/** At once, so that nobody waits for an answer. `most`: replies that may come, the greeting and 421 included. */
export async function err(stage: Stage, line: string, most: number, times = 1_000): Promise<Faults> {
  const client = await logIn(stage);
  client.write(`${line}\r\n`.repeat(times));
  client.write(`${ENVELOPE.join("\r\n")}\r\n${MESSAGE}.\r\n`);
  const replies = await untilEnd(client);
  const last = replies.at(-1) ?? "nothing";
  if (last.startsWith("421") && replies.length <= most) return [];
  return [`${times} times ${line.slice(0, 20)}: ${replies.length} replies, at last ${last}`];
}

/** A body of more than one row, so that part of it is written ahead. */
const LARGE = Buffer.from(`${"x".repeat(998)}\r\n`.repeat(1_500));

/** Each is sent as far as it goes, then the connection is reset. The last one has its final dot. */
export const moments = [
  "connect",
  "EHLO",
  "AUTH",
  "MAIL",
  "RCPT",
  "DATA",
  "header",
  "body",
  "half a dot",
  "dot",
] as const;

/** @returns whether its message may have been accepted. */
async function resetAt(stage: Stage, moment: (typeof moments)[number], round: number): Promise<boolean> {
  const client = raw(stage);
  await client.reply();
  const commands = ["EHLO client.example", authPlain(stage.tenant), ...ENVELOPE];
  const place = moments.indexOf(moment);
  for (const line of commands.slice(0, place)) await say(client, line);
  // One that is the same as another whose 250 was not read would be taken for its repetition.
  if (place > 5) client.write(`From: app@customer.example\r\nSubject: ${round}\r\n`);
  if (place > 6) {
    client.write("\r\n");
    // Every other message behind its dot is a small one, which is whole at once.
    await client.pour(place === 9 && round % 2 === 0 ? Buffer.from("small\r\n") : LARGE);
    await pause(20);
  }
  if (place > 7) client.write("last\r\n.");
  if (place > 8) client.write("\r\n");
  if (place === 9) await pause(round * 5);
  client.socket.resetAndDestroy();
  await client.closed;
  return place === 9;
}

/** At every moment; behind the dot a little later in each round. */
export async function resetEverywhere(stage: Stage, rounds: number): Promise<{ resets: number; perhaps: number }> {
  let [resets, perhaps] = [0, 0];
  for (let round = 0; round < rounds; round += 1) {
    for (const moment of moments) {
      resets += 1;
      if (await resetAt(stage, moment, round)) perhaps += 1;
    }
  }
  return { resets, perhaps };
}

/** The messages that are stored by now: whether one that was reset after its dot is accepted is the program's to say. */
export async function storedNow({ database }: Stage): Promise<number> {
  const { rows } = await database.pool.query<{ n: number }>("select count(*)::int as n from message");
  return rows[0]!.n;
}

/** Until nothing of a message under way is left over. */
export function settled(stage: Stage): Promise<number> {
  let before = -1;
  return eventually(async () => {
    const now = await storedNow(stage);
    const same = now === before;
    before = now;
    await pause(200);
    return same && { now };
  }, "the messages that were cut off are decided").then(({ now }) => now);
}

/** One line of so many octets, in the body and as a command. */
export async function longLines(stage: Stage, octets: number): Promise<{ accepted: number; faults: Faults }> {
  const faults: Faults = [];
  const line = "x".repeat(octets);
  const before = stage.upstream.taken.length;
  const client = await logIn(stage);
  const answer = await say(client, ...ENVELOPE, `From: app@customer.example\r\n\r\n${line}\r\n.`);
  if (!answer.startsWith("250")) faults.push(`a body line of ${octets} octets was told ${answer}`);
  const unended = await say(client, ...ENVELOPE, `From: app@customer.example\r\n\r\n..${line}.${line}\r\n.`);
  if (!unended.startsWith("250")) faults.push(`two lines' worth was told ${unended}`);
  client.write(`${line}\r\n${ENVELOPE.join("\r\n")}\r\n${MESSAGE}.\r\n`);
  const replies = await untilEnd(client);
  if (!replies[0]?.startsWith("421") || replies.length > 1)
    faults.push(`a long command was told ${replies.join(" | ")}`);
  await eventually(async () => stage.upstream.taken.length >= before + 2, "long lines have left");
  const left = stage.upstream.taken.slice(before).map(({ lines }) => lines.at(-1));
  if (left.sort().join() !== [`.${line}.${line}`, line].join()) faults.push("a long line did not leave whole");
  return { accepted: 2, faults };
}
