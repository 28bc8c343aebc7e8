/**
 * Plays a dialogue of test/dialogues. Lines:
 *
 *   # text           the first one names the guarantee
 *   GIVEN: fact      before the server starts, e.g. `limit 10 used 9` (facts.ts of this file: `givens`)
 *   WHEN: fact       the same, in the middle
 *   CONNECT: submission | submissions      opens a connection and reads the greeting; the first command does it, too
 *   C: line          sent with CRLF; {plain user password}, {base64 text}, {times n text} are replaced
 *   S: 250 text      the next reply has this code, and its first line begins with this text
 *   S+ text          a line of the last reply has this text
 *   S- text          no line of the last reply has it
 *   TLS              the TLS handshake after STARTTLS
 *   CLOSED           the server closes, and says nothing more
 *   THEN: accepted 2 | units 3 | message has text | message lacks text | refused reason,... | reserved 0
 */
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { Client, plain, type Reply } from "./client.ts";
import { type House, type HouseOptions, startHouse, stored, type World } from "./house.ts";

type Config = NonNullable<HouseOptions["config"]>;

export type Dialogue = Readonly<{ name: string; lines: readonly string[] }>;

export function readDialogue(path: string): Dialogue {
  const lines = readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "");
  return { name: (lines[0] ?? "").replace(/^#\s*/, ""), lines };
}

export async function play({ lines }: Dialogue): Promise<void> {
  const setup: { world: Partial<World>; config: Partial<Mutable<Config>> } = { world: {}, config: {} };
  for (const line of lines) if (line.startsWith("GIVEN: ")) apply(line.slice(7), setup.world, setup.config);
  const house = await startHouse({ config: setup.config });
  Object.assign(house.world, setup.world);
  const stage = { client: undefined as Client | undefined, last: [] as Reply };
  try {
    for (const [number, line] of lines.entries()) {
      await act(line, house, stage).catch((error: Error) => {
        error.message = `line ${number + 1}: ${line}\n${error.message}`;
        throw error;
      });
    }
  } finally {
    stage.client?.destroy();
    await house.submission[Symbol.asyncDispose]();
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Stage = { client: Client | undefined; last: Reply };

async function act(line: string, house: House, stage: Stage): Promise<void> {
  const [, mark, rest = ""] = /^([A-Z]+:|[CS][:+-]|#|TLS|CLOSED) ?(.*)$/.exec(line) ?? [];
  if (mark === undefined) throw new Error("no such line");
  if (mark === "#" || mark === "GIVEN:") return;
  if (mark === "WHEN:") return apply(rest, house.world, {});
  if (mark === "THEN:") return check(rest, house);
  if (mark === "CONNECT:") return open(rest, house, stage);
  if (stage.client === undefined) await open("submission", house, stage);
  const client = stage.client as Client;
  if (mark === "C:") client.write(`${expand(rest)}\r\n`);
  else if (mark === "TLS") await client.starttls();
  else if (mark === "CLOSED") expect(await client.end()).toBe("");
  else if (mark === "S:") {
    stage.last = await client.reply();
    expect(stage.last[0]?.replace(/^(\d{3})-/, "$1 ") ?? "(closed)").toMatch(new RegExp(`^${literally(rest)}`));
  } else if (mark === "S+") expect(stage.last.join("\n")).toContain(rest);
  else expect(stage.last.join("\n")).not.toContain(rest);
}

async function open(port: string, { submission }: House, stage: Stage): Promise<void> {
  stage.client?.destroy();
  const { ports } = submission;
  stage.client =
    port === "submissions"
      ? await Client.connectSecure(ports.submissions as number)
      : await Client.connect(ports.submission);
  stage.last = await stage.client.reply();
  expect(stage.last[0]).toMatch(/^220 relay\.example ESMTP/);
}

function apply(fact: string, world: Partial<World>, config: Partial<Mutable<Config>>): void {
  const words = fact.split(" ");
  const number = (n: number) => Number(words[n]);
  const [first, second = ""] = words;
  if (first === "limit") Object.assign(world, { limit: number(1), used: number(3) });
  else if (first === "master") Object.assign(world, { masterCap: number(2), masterUsed: number(4) });
  else if (first === "account") {
    Object.assign(world, { state: second, publicMessage: words.slice(2).join(" ") || null });
  } else if (first === "senders") world.domains = second === "any" ? null : words.slice(1);
  else if (first === "locked") world.locked = true;
  else if (first === "gate") world.gateOpen = second === "open";
  else if (first === "acceptance") world.acceptance = second as World["acceptance"];
  else if (first === "failing") world.throws = new Set(words.slice(1) as never[]);
  else if (first === "cleartext") config.authCleartext = second as "never";
  else if (first === "recipients") config.maxRecipients = number(1);
  else if (first === "bytes") config.maxMessageBytes = number(1);
  else throw new Error(`no such fact: ${fact}`);
}

function check(claim: string, house: House): void {
  const [what, ...more] = claim.split(" ");
  const message = house.accepted.at(-1);
  const text = message === undefined ? "" : stored(house, message).toString();
  const value = expand(more.slice(1).join(" ")).replaceAll("\\r\\n", "\r\n").replaceAll("\\t", "\t");
  if (what === "accepted") expect(house.accepted).toHaveLength(Number(more[0]));
  else if (what === "units") expect(message?.units).toBe(Number(more[0]));
  else if (what === "reserved") expect(house.reservations).toHaveLength(Number(more[0]));
  else if (what === "refused") expect(house.refused.map((refusal) => refusal.reason).join(",")).toBe(more[0] ?? "");
  else if (what === "message" && more[0] === "has") expect(text).toContain(value);
  else if (what === "message" && more[0] === "lacks") expect(text).not.toContain(value);
  else throw new Error(`no such claim: ${claim}`);
}

function expand(text: string): string {
  return text
    .replace(/\{plain (\S+) (\S+)\}/g, (_, user: string, password: string) => plain(user, password))
    .replace(/\{base64 ([^}]+)\}/g, (_, value: string) => Buffer.from(value).toString("base64"))
    .replace(/\{times (\d+) ([^}]+)\}/g, (_, times: string, value: string) => value.repeat(Number(times)));
}

function literally(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}
