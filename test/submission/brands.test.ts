/** Hosts of brands on real sockets: which certificate, which name, in whose messages. */
import { createHash, X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listenForChanges } from "../../src/accounts/changes.ts";
import type { SendingAccount } from "../../src/accounts/sending.ts";
import { changeBrand } from "../../src/branding/change.ts";
import { removeCertificate, setCertificate } from "../../src/branding/change-certificate.ts";
import { createBrandHosts } from "../../src/branding/hosts.ts";
import { createCertificates } from "../../src/branding/sni.ts";
import type { DomainId } from "../../src/platform/ids.ts";
import { type Submission, startSubmission } from "../../src/submission/server.ts";
import { fail, prove } from "../support/brands.ts";
import { certificateFor, fingerprintOf, type Made } from "../support/certificates.ts";
import { testDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { silentLog } from "../support/log.ts";
import { type TestMaster, type TestSubaccount, tenants } from "../support/tenants.ts";
import { Client, plain, send } from "./client.ts";
import { startHouse, stored } from "./house.ts";

const database = await testDatabase();
const { db, clock, url } = database;
const people = tenants(database);
const { keyring } = people;
const changes = await listenForChanges({ url, log: silentLog });
afterAll(() => changes[Symbol.asyncDispose]());
const hosts = createBrandHosts({ db, changes, ours: ["relay.example"] });
const house = await startHouse();

const acme = await people.master();
const shop = await people.subaccount(acme);
const sibling = await people.subaccount(acme);
const other = await people.master();
const theirs = await people.subaccount(other);
const [ofAcme, ofShop, ofOther] = (await Promise.all(
  ["mail.acme.example", "mail.shop.example", "mail.other.example"].map((name) => certificateFor([name])),
)) as [Made, Made, Made];
let acmeDomain: DomainId;

/** Who logs in next. */
let sender: TestSubaccount = shop;
const account = (): SendingAccount => {
  const { id: subaccountId, masterId, calendar } = sender.subaccount;
  const { principal } = sender;
  return {
    kind: "sending",
    principal,
    masterId,
    subaccountId,
    credentialId: null,
    calendar,
    senderPolicy: "any",
    own: false,
    sandbox: false,
  };
};

async function startServer(brandHosts = hosts): Promise<Submission> {
  const certificate = createCertificates({ db, keyring, hosts: brandHosts, log: silentLog, maxContexts: 2 });
  const server = await startSubmission({
    ...house.deps,
    brands: { ...brandHosts, certificate },
    authenticate: async () => account(),
    sending: async () => account(),
  });
  afterAll(() => server[Symbol.asyncDispose]());
  return server;
}
const server = await startServer();

async function brand(of: TestMaster, host: string, made: Made, sub?: TestSubaccount): Promise<void> {
  await changeBrand(db, of.principal, sub?.subaccount.id, { host }, {}, clock);
  await setCertificate(db, of.principal, sub?.subaccount.id, made, { keyring }, clock);
}

beforeAll(async () => {
  acmeDomain = await prove(database, "acme.example", acme.master.id);
  await prove(database, "shop.example", acme.master.id, shop.subaccount.id);
  await prove(database, "other.example", other.master.id);
  await brand(acme, "mail.acme.example", ofAcme);
  await brand(acme, "mail.shop.example", ofShop, shop);
  await brand(other, "mail.other.example", ofOther);
});

const seen = (client: Client) => (client.socket as TLSSocket).getPeerCertificate().fingerprint256;
const ours = new X509Certificate(house.tls.context().cert as string).fingerprint256;

/** Certificate, greeting, and the answer to EHLO of the port with TLS from the start. */
async function secure(name?: string, { ports } = server) {
  const client = await Client.connectSecure(ports.submissions as number, name);
  const [greeting] = await client.reply();
  const ehlo = (await client.command("EHLO client.example")).split("\n")[0];
  const certificate = seen(client);
  return { client, greeting, ehlo, certificate };
}

async function upgraded(name?: string, { ports } = server) {
  const client = await Client.connect(ports.submission);
  const [greeting] = await client.reply();
  await client.command("EHLO client.example");
  await client.command("STARTTLS");
  await client.starttls(name);
  const ehlo = (await client.command("EHLO client.example")).split("\n")[0];
  return { client, greeting, ehlo, certificate: seen(client) };
}

async function certificates(name?: string): Promise<string[]> {
  const both = [await secure(name), await upgraded(name)];
  for (const { client } of both) client.destroy();
  return both.map(({ certificate }) => certificate);
}

describe("a client that asks for a brand's host", () => {
  test.each([
    ["mail.acme.example", () => ofAcme],
    ["MAIL.Other.Example", () => ofOther],
    ["mail.shop.example", () => ofShop],
  ])("%s is shown its certificate on both ports, again and again", async (name, made) => {
    for (let n = 0; n < 3; n += 1)
      expect(await certificates(name)).toEqual([fingerprintOf(made()), fingerprintOf(made())]);
  });

  test("is greeted by it where TLS comes first; behind STARTTLS it is so called after the handshake", async () => {
    const first = await secure("mail.acme.example");
    expect(first.greeting).toBe("220 mail.acme.example ESMTP");
    expect(first.ehlo).toBe("250-mail.acme.example");
    const second = await upgraded("mail.acme.example");
    expect(second.greeting).toBe("220 relay.example ESMTP Postmeter");
    expect(second.ehlo).toBe("250-mail.acme.example");
    first.client.destroy();
    second.client.destroy();
  });

  test("by many at once is shown none of another's", async () => {
    const asked = ["mail.acme.example", "mail.other.example", "mail.shop.example", "nobody.example"];
    const wanted = [ofAcme, ofOther, ofShop].map(fingerprintOf).concat(ours);
    const got = await Promise.all(
      Array.from({ length: 40 }, async (_, n) => {
        const { client, certificate } = await (n % 8 < 4 ? secure : upgraded)(asked[n % 4]);
        client.destroy();
        return certificate === wanted[n % 4];
      }),
    );
    expect(got).toEqual(Array(40).fill(true));
  });
});

test.each([
  undefined,
  "nobody.example",
  "relay.example",
  "localhost",
  "acme.example",
  "x.mail.acme.example",
  `${"a".repeat(60)}.example`,
])("a client that asks for %s is shown the node's own certificate and name", async (name) => {
  const { client, greeting, ehlo, certificate } = await secure(name);
  expect([greeting, ehlo, certificate]).toEqual(["220 relay.example ESMTP Postmeter", "250-relay.example", ours]);
  expect((await upgraded(name)).certificate).toBe(ours);
  client.destroy();
});

test("what is not remembered is asked for before the greeting, and a database that does not answer gives the node's name", async () => {
  let answer = (name: string): Promise<Awaited<ReturnType<typeof hosts.find>>> => Promise.resolve(hosts.find(name));
  const slow = await startServer({ find: (name) => answer(name) });
  const names = async () => {
    const both = [await secure("mail.acme.example", slow), await upgraded("mail.acme.example", slow)];
    for (const { client } of both) client.destroy();
    return both.map(({ ehlo }) => ehlo);
  };
  expect(await names()).toEqual(["250-mail.acme.example", "250-mail.acme.example"]);
  answer = () => Promise.reject(new Error("away"));
  expect(await names()).toEqual(["250-relay.example", "250-relay.example"]);
});

describe("the name in a message", () => {
  async function trace(from: TestSubaccount, name?: string): Promise<string> {
    sender = from;
    const { client } = await secure(name);
    await client.command(`AUTH PLAIN ${plain("app", "secret")}`);
    expect(await send(client, "From: app@customer.example\r\n\r\nx")).toMatch(/^250 /);
    client.destroy();
    const text = stored(house, house.accepted.at(-1)!).toString("latin1");
    return `${/\n\tby (\S+) with ESMTPSA id msg_/.exec(text)?.[1]} ${/^Message-ID: <msg_\w+@(.*)>\r$/m.exec(text)?.[1]}`;
  }

  test.each([
    [
      "the brand's, for its own accounts",
      () => trace(sibling, "mail.acme.example"),
      "mail.acme.example mail.acme.example",
    ],
    ["the subaccount's own brand's", () => trace(shop, "mail.shop.example"), "mail.shop.example mail.shop.example"],
    ["the node's, for who asked for none", () => trace(shop), "relay.example relay.example"],
    [
      "the node's, for who asked for another master's",
      () => trace(theirs, "mail.acme.example"),
      "relay.example relay.example",
    ],
    [
      "the node's, for who asked for a sibling's",
      () => trace(sibling, "mail.shop.example"),
      "relay.example relay.example",
    ],
  ])("is %s", async (_, made, wanted) => expect(await made()).toBe(wanted));

  test("is the node's again from the next message on when the proof is lost, in an open session too", async () => {
    sender = sibling;
    const { client } = await secure("mail.acme.example");
    await client.command(`AUTH PLAIN ${plain("app", "secret")}`);
    const by = async () => {
      expect(await send(client, "From: app@customer.example\r\n\r\nx")).toMatch(/^250 /);
      return /\n\tby (\S+) /.exec(stored(house, house.accepted.at(-1)!).toString("latin1"))?.[1];
    };
    expect(await by()).toBe("mail.acme.example");
    await fail(database, acmeDomain);
    await eventually(async () => expect(await by()).toBe("relay.example"));
    await eventually(async () => expect(await certificates("mail.acme.example")).toEqual([ours, ours]));
    await db.updateTable("sender_domain").set({ state: "verified" }).where("id", "=", acmeDomain).execute();
    await eventually(async () => expect(await by()).toBe("mail.acme.example"));
    client.destroy();
  });
});

describe("a certificate", () => {
  test("that is replaced or removed is so for the next handshake", async () => {
    const renewed = await certificateFor(["mail.other.example"]);
    await setCertificate(db, other.principal, undefined, renewed, { keyring }, clock);
    const two = (made: Made) => Array(2).fill(fingerprintOf(made));
    await eventually(async () => expect(await certificates("mail.other.example")).toEqual(two(renewed)));
    await removeCertificate(db, other.principal, undefined, {}, clock);
    await eventually(async () => expect(await certificates("mail.other.example")).toEqual([ours, ours]));
    const { client, greeting } = await secure("mail.other.example");
    expect(greeting).toBe("220 mail.other.example ESMTP");
    client.destroy();
    await setCertificate(db, other.principal, undefined, ofOther, { keyring }, clock);
    await eventually(async () => expect(await certificates("mail.other.example")).toEqual(two(ofOther)));
  });

  test("whose key can't be read is none, and is told to the operator", async () => {
    const lines: unknown[] = [];
    const log = { ...silentLog, warn: (line: unknown) => void lines.push(line) } as typeof silentLog;
    const broken = createCertificates({ db, keyring: tenants(database).keyring, hosts, log });
    expect(await broken("mail.acme.example")).toBeUndefined();
    expect(lines).toMatchObject([{ event: "tls.brand_failed", host: "mail.acme.example" }]);
  });

  test("that was served goes on being served while the database does not answer", async () => {
    let away = false;
    const find = (name: string) => (away ? Promise.reject(new Error("away")) : hosts.find(name));
    const serve = createCertificates({ db, keyring, hosts: { ...hosts, find }, log: silentLog });
    const before = await serve("mail.acme.example");
    away = true;
    expect(await serve("MAIL.acme.example")).toBe(before);
    expect(await serve("mail.shop.example")).toBeUndefined();
  });
});

test("control: a server that takes a name for proven without asking shows a certificate that is not its to show", async () => {
  const id = acme.master.id;
  const certificateMark = createHash("md5").update(ofAcme.certificate).digest("hex");
  const careless = { host: "mail.acme.example", accountId: id, masterId: id, subaccountId: null, certificateMark };
  const trusting = { find: () => careless };
  const unsafe = await startServer(trusting);
  await fail(database, acmeDomain);
  const { client, certificate } = await secure("mail.acme.example", unsafe);
  expect(certificate).toBe(fingerprintOf(ofAcme));
  client.destroy();
});
