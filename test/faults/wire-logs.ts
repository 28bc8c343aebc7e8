/** Texts that would be more than a text if somebody took them as they are: in commands, in mail, in replies of the upstream. */
import { setTimeout as pause } from "node:timers/promises";
import { quiet } from "../support/arrivals.ts";
import { connectFrom, say } from "./greed-clients.ts";
import { ENVELOPE, type Faults, logIn, type Stage } from "./wire.ts";
import type { Answers } from "./wire-upstream.ts";

const FORGED = '{"level":"info","event":"forged","message":"forged"}';

/** What a line could be broken with, or a terminal be told. */
const texts = [
  `x\r${FORGED}`,
  `x\0${FORGED}`,
  `x\u0085${FORGED}`,
  `x\u2028forged ${FORGED}\u2029`,
  `x","event":"forged","y":"`,
  `\u001b[2J\u001b]0;forged\u0007x`,
  `\u009b2Jx`,
  "x\\r\\nReceived: forged",
  "\u202eelpmaxe\ud800",
];

/** A reply of the upstream that goes into log lines, attempts and reports. */
export const hostile: Answers = { end: `451 4.3.0 \u001b[31mLater\u0085\r${FORGED}\0","event":"forged` };

const base64 = (text: string) => Buffer.from(text).toString("base64");
const word = (text: string) => `=?utf-8?b?${base64(text)}?=`;

/** One session with the text in all places. */
async function tell(stage: Stage, text: string): Promise<void> {
  const oneLine = text.replaceAll("\n", " ");
  const stranger = connectFrom(`127.0.1.${1 + texts.indexOf(text)}`, stage.relay.ports.submission);
  await stranger.reply();
  await say(stranger, "EHLO client.example");
  for (const name of [text, `${text}\r\n${FORGED}`]) {
    await say(stranger, `AUTH PLAIN ${base64(`\0${name}\0wrong`)}`);
    await say(stranger, "AUTH LOGIN", base64(name), base64("wrong"));
  }
  stranger.socket.destroy();
  const client = await logIn(stage, oneLine);
  await say(client, `MAIL FROM:<"${oneLine}"@customer.example> SMTPUTF8`);
  await say(client, `MAIL FROM:<app@customer.example> ENVID=${oneLine} SMTPUTF8`);
  await say(client, "RSET", "MAIL FROM:<app@customer.example>", `RCPT TO:<"${oneLine}"@example.net>`);
  await say(client, "RSET", ...ENVELOPE, `From: ${word(`${text}\r\n${FORGED}`)} <none\r\nSubject: x\r\n\r\nx\r\n.`);
  const subject = word(`${text}\r\n${FORGED}\r\nReceived: forged`);
  await say(client, ...ENVELOPE, `From: app@customer.example\r\nSubject: ${subject}\r\n\r\nlast\r\n.`);
  client.socket.destroy();
}

/** @returns lines that are no event of the program, and header fields that a client has made. */
export async function injectEverywhere(stage: Stage): Promise<{ lines: number; faults: Faults }> {
  for (const text of texts) await tell(stage, text);
  await quiet(stage.database);
  await pause(300); // log lines go out in groups
  return { lines: stage.logged.length, faults: [...lineFaults(stage.logged), ...fieldFaults(stage)] };
}

export function lineFaults(lines: readonly string[]): Faults {
  return lines.flatMap((line) => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (/[\0-\x1f\x7f-\x9f\u2028-\u202e]/.test(line)) return [`control characters in ${JSON.stringify(line)}`];
    try {
      const { event, level, time } = JSON.parse(line);
      const whole = typeof event === "string" && typeof level === "string" && typeof time === "string";
      return whole && event !== "forged" ? [] : [`no event of the program: ${line}`];
    } catch {
      return [`no JSON: ${JSON.stringify(line)}`];
    }
  });
}

function fieldFaults({ upstream }: Stage): Faults {
  return upstream.taken.flatMap(({ lines }) => {
    const header = lines.slice(0, lines.indexOf(""));
    const received = header.filter((line) => /^received:/i.test(line));
    const named = /^Received: from (unknown|client\.example) \(/.test(received[0] ?? "");
    const forged = header.some((line) => line.startsWith("{"));
    return received.length === 1 && named && !forged ? [] : [`a header was changed: ${JSON.stringify(header)}`];
  });
}
