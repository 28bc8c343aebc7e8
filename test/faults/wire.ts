/** What a client may put on the wire to the whole program, and what must come of it. */
import { createInterface } from "node:readline";
import { afterAll } from "vitest";
import { openDatabase } from "../../src/platform/database.ts";
import { quiet } from "../support/arrivals.ts";
import { ends, endsWithNul } from "../support/data-ends.ts";
import { createDatabase } from "../support/database.ts";
import { createTenant, type Relay, startRelay, type Tenant } from "../support/relay.ts";
import { authPlain, connectFrom, type Raw, say } from "./greed-clients.ts";
import { type Answers, type Lenient, startLenient } from "./wire-upstream.ts";

export type Stage = Readonly<{
  relay: Relay;
  upstream: Lenient;
  tenant: Tenant;
  /** All that the program has written to its log, line by line. */
  logged: readonly string[];
  database: ReturnType<typeof openDatabase>;
  /** Before the file does. */
  end(): Promise<void>;
}>;

const HOME = "127.0.0.1";
const atEnd: (() => Promise<void>)[] = [];
afterAll(async () => {
  await Promise.all(atEnd.map((end) => end()));
});

export async function openStage(told: { program?: string; answers?: Answers } = {}): Promise<Stage> {
  const databaseUrl = await createDatabase();
  const upstream = await startLenient(told.answers);
  const relay = await startRelay({
    databaseUrl,
    ...(told.program === undefined ? {} : { program: told.program }),
    env: { POSTMETER_UPSTREAM_URL: `smtp://127.0.0.1:${upstream.port}`, POSTMETER_LOG_LEVEL: "debug" },
  });
  const logged: string[] = [];
  createInterface({ input: relay.child.stderr as NodeJS.ReadableStream }).on("line", (line) => logged.push(line));
  const database = openDatabase({ url: databaseUrl, max: 2, clockOffsetMs: 0, applicationName: "postmeter wire" });
  const end = async () => {
    await relay.stop("SIGKILL");
    await upstream[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  };
  atEnd.push(end);
  return { relay, upstream, tenant: await createTenant(relay, { limit: null }), logged, database, end };
}

/** Says what is wrong; empty: all is well. */
export type Faults = string[];

/** A client that has logged in, under another name where the first is refused. */
export async function logIn({ relay, tenant }: Stage, name = "client.example"): Promise<Raw> {
  const client = connectFrom(HOME, relay.ports.submission);
  await client.reply();
  if (!(await say(client, `EHLO ${name}`)).startsWith("250")) await say(client, "EHLO client.example");
  await say(client, authPlain(tenant));
  return client;
}

export const ENVELOPE = ["MAIL FROM:<app@customer.example>", "RCPT TO:<reader@example.net>", "DATA"];

const another = (end: string) =>
  `MAIL FROM:<app@customer.example>${end}RCPT TO:<victim@example.org>${end}DATA${end}From: boss@bank.example${end}${end}smuggled`;

/** Messages that hold another one behind each of `ends`, in the body and in the header. */
export function smugglers(): { name: string; content: string; nul: boolean }[] {
  const made = [...ends, ...endsWithNul].flatMap((end) => {
    const [nul, name] = [end.includes("\0"), JSON.stringify(end)];
    const lineEnd = end.startsWith("\r\n") ? "\r\n" : (end[0] as string);
    const inner = [another("\r\n"), another(lineEnd)].map((text) => `${end}${text}${end}`);
    return [
      ...inner.map((text) => ({ name: `${name} in the body`, content: `\r\n\r\nfirst${text}last\r\n`, nul })),
      { name: `${name} in the header`, content: `${inner[0]}\r\n\r\nlast\r\n`, nul },
    ];
  });
  return made.map(({ content, ...rest }) => ({
    ...rest,
    content: `From: app@customer.example\r\nX-First: 1${content}`,
  }));
}

/** Sends them one after the other as one client, and counts what has left. */
export async function smuggle(stage: Stage, messages = smugglers()): Promise<{ sent: number; faults: Faults }> {
  const faults: Faults = [];
  const client = await logIn(stage);
  let accepted = 0;
  for (const { name, content, nul } of messages) {
    await say(client, ...ENVELOPE);
    const answer = await say(client, `${content}.`);
    if (!answer.startsWith(nul ? "550 5.6.0" : "250")) faults.push(`${name}: answered ${answer}`);
    if (answer.startsWith("250")) accepted += 1;
    // Had any of it been read as commands, this would not be the next reply.
    const next = await say(client, "VRFY who");
    if (!next.startsWith("252")) faults.push(`${name}: the next reply is ${next}`);
  }
  client.socket.destroy();
  await quiet(stage.database);
  const { taken } = stage.upstream;
  if (taken.length !== accepted) faults.push(`${accepted} were accepted, ${taken.length} have left`);
  const strangers = taken.filter(({ rcpt }) => rcpt.join() !== "RCPT TO:<reader@example.net>");
  if (strangers.length > 0) faults.push(`${strangers.length} have left for others`);
  const cut = taken.filter(({ lines }) => !lines.includes("last") && !lines.some((line) => line.endsWith("last")));
  if (cut.length > 0) faults.push(`${cut.length} have lost their end`);
  return { sent: accepted, faults: [...faults, ...rawFaults(stage.upstream.bytes())] };
}

/** Of all that left: no CR or LF but as CRLF, no NUL. */
export function rawFaults(bytes: Buffer): Faults {
  const text = bytes.toString("latin1");
  const found = { "bare CR": /\r(?!\n)/, "bare LF": /(?<!\r)\n/, NUL: /\0/ };
  return Object.entries(found).flatMap(([name, pattern]) => (pattern.test(text) ? [`${name} has left`] : []));
}

/** What an attack must leave behind: the process, and nothing stored but what was accepted. */
export async function aftermath(stage: Stage, accepted: number): Promise<Faults> {
  const faults: Faults = [];
  if (stage.relay.child.exitCode !== null || stage.relay.child.signalCode !== null)
    faults.push("the program has ended");
  const client = await logIn(stage);
  const next = await say(client, ...ENVELOPE, "From: app@customer.example\r\n\r\nnext\r\n.", "QUIT");
  if (!next.startsWith("221")) faults.push(`the next client was told ${next}`);
  await quiet(stage.database);
  const { rows } = await stage.database.pool.query<Record<"messages" | "charged" | "parts", number>>(
    `select (select count(*)::int from message) as messages, (select count(distinct id)::int from usage_entry) as charged,
            (select count(distinct message_id)::int from body b where not exists (select from message m where m.id = b.message_id)) as parts`,
  );
  const { messages, charged, parts } = rows[0]!;
  if (messages !== accepted + 1) faults.push(`${messages - 1} messages are stored, not ${accepted}`);
  if (charged !== messages) faults.push(`${messages} messages are stored, ${charged} are charged`);
  if (parts !== 0) faults.push(`parts of ${parts} messages were left`);
  if (stage.upstream.taken.length !== messages) faults.push(`${stage.upstream.taken.length} have left of ${messages}`);
  return faults;
}
