import { beforeAll, expect, test } from "vitest";
import type { Script } from "../support/upstream.ts";
import { type Certificate, makeCertificate } from "./certificate.ts";
import { openHouse, shortOf } from "./house.ts";

let ours: Certificate;
let otherHost: Certificate;

beforeAll(async () => {
  ours = await makeCertificate("127.0.0.1", "localhost");
  otherHost = await makeCertificate("other.example");
});

const once = { failures: 1, firstPauseMs: 60_000, longestPauseMs: 60_000 };

async function outcome(script: Script, url: string, ca?: string, setup = 20_000) {
  const patience = { connect: setup, setup, command: 20_000, body: 20_000, end: 20_000, idle: 20_000 };
  const house = await openHouse({ script, url, tuning: { ca, breaker: once, patience } });
  const result = await house.deliver();
  const secure = house.upstream.received.map((message) => message.secure);
  return { short: shortOf(result), secure, commands: house.upstream.commands, attempt: result.recipients[0]?.attempt };
}

const delivered = ["delivered 250 2.0.0"];

test("with tls=required mail goes over STARTTLS with a verified certificate", async () => {
  const { short, secure } = await outcome({ certificate: ours }, "smtp://127.0.0.1:PORT?tls=required", ours.cert);
  expect([short, secure]).toEqual([delivered, [true]]);
});

test("smtps:// speaks TLS from the first byte", async () => {
  const script = { certificate: ours, implicitTls: true };
  const { short, secure } = await outcome(script, "smtps://127.0.0.1:PORT", ours.cert);
  expect([short, secure]).toEqual([delivered, [true]]);
});

test.each([
  ["a certificate of an unknown authority", () => ({ certificate: ours }), undefined],
  ["a certificate for another host", () => ({ certificate: otherHost }), () => otherHost.cert],
  ["no STARTTLS offered", () => ({}), undefined],
  ["STARTTLS refused", () => ({ certificate: ours, starttls: () => "454 4.7.0 not now" }), () => ours.cert],
])("with tls=required nothing is sent: %s", async (_name, script, ca) => {
  const { short, commands } = await outcome(script(), "smtp://127.0.0.1:PORT?tls=required", ca?.());
  expect(short[0]).toMatch(/^deferred/);
  expect(commands.join()).not.toMatch(/MAIL|AUTH/);
});

test.each([
  ["a certificate of an unknown authority", () => ({ certificate: ours, implicitTls: true }), undefined],
  ["a certificate for another host", () => ({ certificate: otherHost, implicitTls: true }), () => otherHost.cert],
])("smtps:// sends nothing to %s", async (_name, script, ca) => {
  const { short, commands } = await outcome(script(), "smtps://127.0.0.1:PORT", ca?.());
  expect(short).toEqual(["deferred 4.7.5"]);
  expect(commands).toEqual([]);
});

test("without a wish for TLS it is used where it is offered, whoever signed the certificate", async () => {
  const { short, secure } = await outcome({ certificate: otherHost }, "smtp://127.0.0.1:PORT");
  expect([short, secure]).toEqual([delivered, [true]]);
});

test.each([
  ["not offered", () => ({})],
  ["refused", () => ({ certificate: ours, starttls: () => "454 4.7.0 not now" })],
  ["broken", () => ({ certificate: ours, starttls: () => "220 go ahead, but there is none" })],
])("without a wish for TLS mail goes plain where it is %s", async (_name, script) => {
  const { short, secure } = await outcome(script(), "smtp://127.0.0.1:PORT", undefined, 2_000);
  expect([short, secure]).toEqual([delivered, [false]]);
});

test("tls=none never asks for it", async () => {
  const { short, commands } = await outcome({ certificate: ours }, "smtp://127.0.0.1:PORT?tls=none");
  expect(short).toEqual(delivered);
  expect(commands).not.toContain("STARTTLS");
});

const login = ["PIPELINING", "AUTH PLAIN LOGIN"];

test("the password goes over TLS only, and opens the way", async () => {
  const script: Script = { certificate: ours, extensions: login };
  const { short, commands } = await outcome(script, "smtp://u%40x:p%3Aq@127.0.0.1:PORT", ours.cert);
  expect(short).toEqual(delivered);
  const auth = commands.find((line) => line.startsWith("AUTH")) as string;
  expect(Buffer.from(auth.split(" ")[2] as string, "base64").toString()).toBe("\0u@x\0p:q");
  expect(commands.indexOf("STARTTLS")).toBeLessThan(commands.indexOf(auth));
});

test.each<[string, Script]>([
  ["no TLS is offered", { extensions: login }],
  ["TLS is refused", { extensions: login, starttls: () => "454 4.7.0 not now" }],
])("the password is kept when %s", async (_name, script) => {
  const { short, commands } = await outcome(script, "smtp://u:secretword@127.0.0.1:PORT", ours.cert);
  expect(short[0]).toMatch(/^deferred/);
  expect(commands.join()).not.toMatch(/AUTH|MAIL/);
});

test.each<[string, NonNullable<Script["auth"]>, RegExp]>([
  ["5xx", () => "535 5.7.8 Bad password", /^deferred 535 4\.7\.8$/],
  ["4xx", () => "454 4.7.0 Later", /^deferred 454 4\.7\.0$/],
  ["421", () => "421 4.3.2 Closing", /^deferred 421/],
])("a refused log-in defers, since the message has no part in it: %s", async (_name, auth, expected) => {
  const script: Script = { certificate: ours, extensions: login, auth };
  const { short, attempt } = await outcome(script, "smtp://u:secretword@127.0.0.1:PORT", ours.cert);
  expect(short[0]).toMatch(expected);
  expect(JSON.stringify(attempt)).not.toContain("secretword");
});

test("a server that offers no AUTH gets no mail from an account", async () => {
  const script: Script = { certificate: ours, extensions: ["PIPELINING"] };
  const { short, commands } = await outcome(script, "smtp://u:p@127.0.0.1:PORT", ours.cert);
  expect(short).toEqual(["deferred 4.7.0"]);
  expect(commands.join()).not.toMatch(/AUTH|MAIL/);
});
