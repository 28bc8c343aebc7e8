/**
 * Attempts to send as a domain that another has proved, over the wire: in the envelope, in From and Sender, in every way of
 * writing that some reader takes for that domain. What gets through is judged by another parser than ours.
 */
import { domainToASCII } from "node:url";
import { simpleParser } from "mailparser";
import { quiet } from "../support/arrivals.ts";
import { createSubaccount, createTenant, type Tenant } from "../support/relay.ts";
import { authPlain, connectFrom, say } from "./greed-clients.ts";
import type { Stage } from "./tenants-stage.ts";

/** The proved ones, as A-labels; the second one is bücher.example. */
const victims = ["bank.example", "xn--bcher-kva.example"];
/** Of the first one, and another's. */
const PART = "part.bank.example";

/** Ways to write a domain: its own, what is under it, and what Unicode makes the same. */
const spellings = [
  ...["bank.example", "BANK.Example", "news.bank.example", "a.b.c.bank.example", "bank.example."],
  ...["ｂａｎｋ.example", "bank。example", "bank．example", "ba\u00adnk.example", "bank\u200b.example", "ⓑank.example"],
  ...["bücher.example", "bu\u0308cher.example", "BÜCHER.example", "xn--bcher-kva.example", "XN--BCHER-KVA.example"],
  ...["news.bücher.example", "www.xn--bcher-kva.EXAMPLE", "bank.example\u3002", "%62ank.example", "bank&#46;example"],
];

const word = (text: string) => `=?utf-8?b?${Buffer.from(text).toString("base64")}?=`;

/** Reverse-paths that name the domain somehow. */
const paths = (domain: string, own: string) => [
  `<boss@${domain}> SMTPUTF8`,
  `<"boss"@${domain}> SMTPUTF8`,
  `<"app@${own}"@${domain}> SMTPUTF8`,
  `<@${own}:boss@${domain}> SMTPUTF8`,
  `<@${domain}:@${own}:boss@${domain}> SMTPUTF8`,
  `<app@${own}> <boss@${domain}>`,
  `<app@${own}\t@${domain}>`,
  `boss@${domain} SMTPUTF8`,
];

/** Header sections that name it as the author, or as who has sent. */
const headers = (domain: string, own: string) => [
  `From: boss@${domain}`,
  `From: Boss <boss@${domain}>`,
  `FROM : boss@${domain}`,
  `From:\r\n boss@${domain}`,
  `From: Boss\r\n\t<boss@${domain}>`,
  `From: boss(x)@(y)${domain}`,
  `From: boss @ ${domain}`,
  `From: <@${own}:boss@${domain}>`,
  `From: app@${own}, boss@${domain}`,
  `From: boss@${domain}, app@${own}`,
  `From: ,, "app@${own}" <boss@${domain}>,`,
  `From: team: app@${own}, boss@${domain};`,
  `From: boss@${domain} <app@${own}>`,
  `From: <boss@${domain}> <app@${own}>`,
  `From: app@${own} <boss@${domain}>`,
  `From: "<app@${own}>" <"x"@${domain}>`,
  `From: =?utf-8?q?boss=40${domain}?=`,
  `From: ${word(`boss@${domain}`)}`,
  `From: ${word(`Boss <boss@${domain}>`)} <app@${own}>`,
  `From: ${word("boss")}@${domain}`,
  `From: app@${own}\r\nFrom: boss@${domain}`,
  `From: boss@${domain}\r\nFrom: app@${own}`,
  `From: app@${own}\r\nfrom : boss@${domain}`,
  `From: app@${own}\r\nSender: boss@${domain}`,
  `From: app@${own}\r\nSENDER: Boss <boss@${domain}>`,
  `From: app@${own}\r\nSender: app@${own}\r\nSender: boss@${domain}`,
  `From: app@${own}\r\nSender: app@${own}, boss@${domain}`,
  `Subject: x\rFrom: boss@${domain}\r\nFrom: app@${own}`,
  `Subject: x\nFrom: boss@${domain}`,
  `X-First: 1\r\n \r\nFrom: boss@${domain}\r\nFrom: app@${own}`,
];

/** `own`: what it may use. */
export type Forger = Readonly<{ name: string; own: string; login: Pick<Tenant, "username" | "password"> }>;

/** The victim's sibling, strangers whose sender must be proved or may be any, and one that has proved a part of the domain. */
export async function openForgery(stage: Stage): Promise<Forger[]> {
  const { relay } = stage;
  const victim = await createTenant(relay, { limit: null, master: { sender_policy: "verified" } });
  for (const name of victims) await prove(stage, victim, name);
  const sibling = { ...victim, ...(await createSubaccount(relay, victim.masterKey, null)) };
  const strict = await createTenant(relay, { limit: null, master: { sender_policy: "verified" } });
  const part = await createTenant(relay, { limit: null, master: { sender_policy: "verified" } });
  const lax = await createTenant(relay, { limit: null });
  await prove(stage, sibling, "sibling.example");
  await prove(stage, strict, "strict.example");
  await prove(stage, part, PART);
  return [
    { name: "a sibling", own: "sibling.example", login: sibling },
    { name: "a stranger", own: "strict.example", login: strict },
    { name: "a stranger with a part of the domain", own: PART, login: part },
    { name: "a stranger with any sender", own: "lax.example", login: lax },
  ];
}

async function prove({ relay, dns }: Stage, { masterKey: key, subaccountId }: Tenant, name: string): Promise<void> {
  const { body } = await relay.call("POST", `/v1/subaccounts/${subaccountId}/domains`, { name }, { key });
  dns.set(`_postmeter.${name}`, { TXT: [body.records[0].value] });
  const proved = await relay.call("POST", `/v1/domains/${body.id}/verify`, {}, { key });
  if (proved.body?.state !== "verified") throw new Error(proved.text);
}

export type Forgeries = Readonly<{ attempts: number; accepted: number; faults: readonly string[] }>;

/** `every`: one of so many spellings. */
export async function forge(stage: Stage, forgers: readonly Forger[], every = 1): Promise<Forgeries> {
  const faults: string[] = [];
  let [attempts, accepted] = [0, 0];
  const chosen = spellings.filter((_, i) => i % every === 0);
  for (const [i, { name, own, login }] of forgers.entries()) {
    for (const domain of chosen) {
      const tries = [
        ...paths(domain, own).map((path) => [path, `From: app@${own}`] as const),
        ...headers(domain, own).map((header) => [`<app@${own}>`, header] as const),
        ["<>", `From: boss@${domain}`] as const,
      ];
      for (const [path, header] of tries) {
        attempts += 1;
        const answer = await attempt(stage, `127.0.3.${1 + i}`, login, path, header);
        if (answer === "") faults.push(`${name}: no answer to ${path}, ${header}`);
        if (answer.startsWith("250")) accepted += 1;
      }
    }
  }
  await quiet(stage.database);
  return { attempts, accepted, faults: [...faults, ...(await readAgain(stage))] };
}

async function attempt(stage: Stage, from: string, login: Forger["login"], path: string, header: string) {
  const client = connectFrom(from, stage.relay.ports.submission);
  await client.reply();
  const lines = ["EHLO client.example", authPlain(login), `MAIL FROM:${path}`, "RCPT TO:<reader@example.net>", "DATA"];
  const answer = await say(client, ...lines, `${header}\r\n\r\nx\r\n.`);
  client.socket.destroy();
  return answer;
}

/** What has left, by its envelope and as mailparser reads it. */
async function readAgain({ upstream }: Stage): Promise<string[]> {
  const faults: string[] = [];
  for (const { mail, bytes } of upstream.received) {
    const { from, headers: fields } = await simpleParser(bytes);
    const sender = fields.get("sender") as typeof from;
    const shown = [from, sender].flatMap((field) => field?.value ?? []).flatMap((one) => [one, ...(one.group ?? [])]);
    const envelope = /<([^>]*)>/.exec(mail)?.[1] ?? mail;
    for (const address of [envelope, ...shown.map((one) => one.address ?? "")]) {
      if (isVictims(address)) faults.push(`${address} has left: ${mail}, ${bytes.toString().slice(0, 300)}`);
    }
  }
  return faults;
}

function isVictims(address: string): boolean {
  const domain = address.slice(address.lastIndexOf("@") + 1);
  const ascii = domainToASCII(domain).replace(/\.$/, "");
  const theirs = victims.some((name) => ascii === name || ascii.endsWith(`.${name}`));
  return theirs && ascii !== PART && !ascii.endsWith(`.${PART}`);
}
