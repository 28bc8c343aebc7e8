/** Secrets where they belong, and where people put them by mistake. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { program, type Relay, type Tenant } from "../support/relay.ts";
import { authPlain, connectFrom, say } from "./greed-clients.ts";
import { given, withPassword } from "./secrets-given.ts";

const base64 = (words: string) => Buffer.from(words).toString("base64");

/** One message that is delivered and one that is returned. */
export async function mail({ ports }: Relay, tenant: Tenant): Promise<string> {
  const client = connectFrom("127.0.0.1", ports.submission);
  await client.reply();
  const told: string[] = [];
  await say(client, "EHLO client.example", authPlain(tenant));
  for (const to of ["reader", "nobody"]) {
    const envelope = ["MAIL FROM:<app@customer.example>", `RCPT TO:<${to}@example.net>`, "DATA"];
    told.push(await say(client, ...envelope, "From: app@customer.example\r\nSubject: Hello\r\n\r\nHello\r\n."));
  }
  client.socket.destroy();
  if (told.some((reply) => !reply.startsWith("250"))) throw new Error(told.join());
  return told.join("\n");
}

/** AUTH with wrong passwords, in wrong forms, and passwords where no password belongs. Gives all replies. */
export async function speakBadly({ ports }: Relay, tenant: Tenant, wrong: string): Promise<string[]> {
  const { username, password } = tenant;
  const plain = (...parts: string[]) => base64(parts.join("\0"));
  const talks: string[][] = [
    [authPlain({ username, password: wrong })],
    [authPlain({ username: "nobody", password })],
    [authPlain({ username: password, password: username })],
    [`AUTH PLAIN ${plain("boss", username, password)}`],
    [`AUTH PLAIN ${plain(username, password)}`],
    [`AUTH PLAIN ${plain(password)}`],
    [`AUTH PLAIN ${plain("", username, password, "more")}`],
    [`AUTH PLAIN ${password}`],
    [`AUTH PLAIN ${plain("", username, password)} ${password}`],
    [`AUTH PLAIN =${plain("", username, password)}`],
    [`AUTH ${plain("", username, password)}`],
    ["AUTH PLAIN", plain("", username, wrong)],
    ["AUTH PLAIN", `AUTH PLAIN ${plain("", username, password)}`],
    ["AUTH LOGIN", base64(username), base64(wrong)],
    ["AUTH LOGIN", username, password],
    ["AUTH LOGIN", base64(password), base64(username)],
    [`AUTH LOGIN ${base64(username)}`, base64(wrong)],
    [`AUTH CRAM-MD5 ${base64(password)}`],
    [`AUTH XOAUTH2 ${base64(`user=${username}\x01auth=Bearer ${password}\x01\x01`)}`],
    [password, `PASS ${password}`, `USER ${username} ${password}`],
    [`MAIL FROM:<app@customer.example> AUTH=${password}`, `VRFY ${password}`, `RCPT TO:<${password}@example.net>`],
  ];
  const heard: string[] = [];
  for (const [i, lines] of talks.entries()) {
    const client = connectFrom(`127.0.4.${1 + i}`, ports.submission);
    await client.reply();
    heard.push(await say(client, "EHLO client.example"));
    for (const line of lines) {
      client.write(`${line}\r\n`);
      heard.push(await client.reply());
    }
    client.socket.destroy();
  }
  return heard;
}

/** Requests with keys and passwords in all places. Gives all answers, with their headers. */
export async function callBadly(relay: Relay, tenant: Tenant, keys: readonly string[]): Promise<string[]> {
  const [key = "", other = ""] = keys;
  const own = { key };
  const asked: [
    method: string,
    path: string,
    body?: unknown,
    told?: { key?: string; headers?: Record<string, string> },
  ][] = [
    ["GET", "/v1/account", undefined, { key: given.wrongKey }],
    ["GET", "/v1/account", undefined, { key: `pm_live_${given.wrong}` }],
    [
      "GET",
      "/v1/account",
      undefined,
      { headers: { authorization: `Basic ${base64(`${tenant.username}:${tenant.password}`)}` } },
    ],
    ["GET", `/v1/account?key=${other}&api_key=${tenant.password}`, undefined, own],
    ["GET", `/v1/messages?cursor=${other}`, undefined, own],
    ["GET", `/v1/messages?limit=${tenant.password}`, undefined, own],
    ["GET", `/v1/keys/${other}`, undefined, own],
    ["GET", `/v1/credentials/${tenant.password}`, undefined, own],
    ["GET", `/${other}`, undefined, { headers: { "x-api-key": other, cookie: `key=${other}` } }],
    ["GET", "/v1/account", undefined, { key, headers: { "postmeter-account": other } }],
    ["PATCH", "/v1/account", {}, { key, headers: { "if-match": other } }],
    ["POST", "/v1/keys", { password: given.wrong, key: other }, own],
    ["POST", "/v1/keys", { name: "x", scopes: [other, tenant.password] }, own],
    ["POST", "/v1/subaccounts", { name: 5, secret: given.wrong }, own],
    ["POST", "/v1/subaccounts", { name: "x", monthly_limit: tenant.password }, own],
    ["POST", "/v1/domains", { name: tenant.password }, own],
    ["POST", "/v1/keys", `{"key": "${other}", oops`, own],
    ...["events", "audit", "keys", "messages", "captured", "account"].map(
      (list) => ["GET", `/v1/${list}`, undefined, own] as const,
    ),
    ["GET", `/v1/subaccounts/${tenant.subaccountId}/credentials`, undefined, own],
    ["GET", "/v1/audit"],
    ["GET", "/openapi.json"],
  ] as never;
  const answers: string[] = [];
  for (const [method, path, body, told] of asked) {
    const { text: said, headers } = await relay.call(method, path, body, told);
    answers.push(`${said} ${JSON.stringify([...headers])}`);
  }
  return answers;
}

export type Start = Readonly<{ command: "doctor" | "serve" | "config"; change: (env: Env) => Env }>;
type Env = Readonly<Record<string, string>>;

const REFUSING = "REFUSING_POSTGRES"; // its port
const postgres = (port: string) =>
  withPassword(`postgresql://postmeter@127.0.0.1:${port}/postmeter`, given.wrongDatabase);
const refused = ({ [REFUSING]: port = "" }: Env) => ({ POSTMETER_DATABASE_URL: postgres(port) });
const set = (name: string, value: string) => () => ({ [`POSTMETER_${name}`]: value });

/** The quick ones. */
export const fewStarts: readonly Start[] = [
  { command: "serve", change: refused },
  { command: "config", change: refused },
];

const wrongRedis = ({ POSTMETER_REDIS_URL: url = "" }: Env) => ({
  POSTMETER_REDIS_URL: withPassword(url, given.wrongRedis),
});

export const allStarts: readonly Start[] = [
  ...fewStarts,
  { command: "doctor", change: refused },
  { command: "doctor", change: wrongRedis },
  { command: "doctor", change: set("DATABASE_URL", postgres("1")) },
  { command: "serve", change: set("DATABASE_URL", postgres("1")) },
  { command: "serve", change: set("DATABASE_URL", `postgresql://u:${given.wrongDatabase}@[no host`) },
  { command: "serve", change: set("DATABASE_URL", `mysql://u:${given.wrongDatabase}@127.0.0.1`) },
  { command: "serve", change: set("REDIS_URL", `redis//:${given.wrongRedis}@127.0.0.1`) },
  { command: "serve", change: set("UPSTREAM_URL", `smtp://user:${given.wrong}@127.0.0.1?tls=none`) },
  { command: "serve", change: set("UPSTREAM_URL", `smtp://user:${given.wrong}%ZZ@127.0.0.1`) },
  { command: "serve", change: set("UPSTREAM_URL", `smtps//user:${given.upstream}@127.0.0.1`) },
  { command: "serve", change: set("SECRET", given.wrong) },
  { command: "serve", change: set("OPERATOR_KEYS", given.wrongKey) },
  { command: "serve", change: set("HTTP_PORT", given.wrongKey) },
];

/** The program's commands with passwords that are refused, and in settings that can't be read. Gives all that they write. */
export async function startBadly(env: Env, starts: readonly Start[]): Promise<string[]> {
  const server = await refusingPostgres();
  const base = { POSTMETER_OPERATOR_KEY: given.wrongKey, ...env };
  const known = { ...base, [REFUSING]: `${server.port}` };
  const written = starts.map(({ command, change }) => run([command], { ...base, ...change(known) }));
  const all = await Promise.all(written);
  server.close();
  return all;
}

async function run(args: readonly string[], env: Readonly<Record<string, string>>): Promise<string> {
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return `${args.join(" ")}: ${out}${err}`;
}

/** Asks for the password in clear, and refuses it in PostgreSQL's words. */
async function refusingPostgres(): Promise<{ port: number; close(): void }> {
  const framed = (type: string, body: Buffer) => {
    const head = Buffer.from(`${type}\0\0\0\0`, "latin1");
    head.writeInt32BE(4 + body.length, 1);
    return Buffer.concat([head, body]);
  };
  const refusal = 'SFATAL\0C28P01\0Mpassword authentication failed for user "postmeter"\0\0';
  const server = createServer((socket: Socket) => {
    let asked = false;
    socket.on("error", () => {});
    socket.on("data", () => {
      if (asked) socket.end(framed("E", Buffer.from(refusal, "latin1")));
      else socket.write(framed("R", Buffer.from([0, 0, 0, 3])));
      asked = true;
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() };
}
