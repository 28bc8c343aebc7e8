import { generateKeyPairSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { covers, describeCertificate, readPair } from "../../src/branding/certificate.ts";
import { Fault } from "../../src/platform/errors.ts";
import { authority, certificateFor, fingerprintOf, publicHalf } from "../support/certificates.ts";

const HOST = "mail.acme.example";
const DAY_MS = 86_400_000;
const now = new Date();
const good = await certificateFor([HOST, "smtp.acme.example"]);
const other = await certificateFor([HOST]);

function refusal(given: { certificate: string; privateKey: string }, host = HOST) {
  try {
    readPair(given, host, now);
  } catch (error) {
    if (error instanceof Fault) return [error.kind, error.details[0]?.pointer, error.message];
    throw error;
  }
  return undefined;
}

describe("a pair is taken", () => {
  test("when it belongs together and covers the host", () => {
    const { endsAt, ...pair } = readPair(good, HOST, now);
    expect(pair.certificate.trim()).toBe(good.certificate.trim());
    expect(pair.key).toMatch(/^-----BEGIN PRIVATE KEY-----/);
    expect(describeCertificate(pair.certificate)).toMatchObject({
      names: [HOST, "smtp.acme.example"],
      notAfter: endsAt,
      fingerprint: fingerprintOf(good),
    });
  });

  test("of a wildcard, of an RSA key, and for servers among other uses", async () => {
    const wild = await certificateFor(["*.acme.example"], {
      rsaBits: 2048,
      uses: { serverAuth: true, clientAuth: true },
    });
    expect(refusal(wild)).toBeUndefined();
    expect(refusal(wild, "a.mail.acme.example")?.[1]).toBe("/certificate");
  });

  test("with its chain in order, and nothing else of the text is kept", async () => {
    const root = await authority("Root");
    const leaf = await certificateFor([HOST], { by: root });
    const chain = `subject=...\n${leaf.certificate}\nsome words\n${root.certificate}\n${root.privateKey}`;
    const { certificate } = readPair({ ...leaf, certificate: chain }, HOST, now);
    expect(certificate.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    expect(certificate).not.toMatch(/PRIVATE|words|subject/);
  });
});

describe("a pair is refused, and the member that is wrong is named,", () => {
  const soon = new Date(now.getTime() + 60_000);
  test.each([
    ["of another key", { ...good, privateKey: other.privateKey }, "/private_key", /not the key/],
    ["of a public key", { ...good, privateKey: publicHalf(good) }, "/private_key", /no private key/],
    ["of no key", { ...good, privateKey: "x" }, "/private_key", /no private key/],
    ["of no certificate", { ...good, certificate: good.privateKey }, "/certificate", /no certificate/],
    [
      "of a broken certificate",
      { ...good, certificate: good.certificate.replace(/\n[^\n]{20}/, "\n") },
      "/certificate",
      /no certificate/,
    ],
  ])("%s", (_, given, pointer, why) => {
    expect(refusal(given)).toEqual(["invalid", pointer, expect.stringMatching(why)]);
  });

  test.each([
    ["for another host", ["mail.other.example"], {}, /not for mail\.acme\.example/],
    [
      "that has expired",
      [HOST],
      { from: new Date(now.getTime() - 9 * DAY_MS), until: new Date(now.getTime() - 1000) },
      /expired/,
    ],
    ["that is not in force yet", [HOST], { from: soon, until: new Date(now.getTime() + DAY_MS) }, /not in force/],
    ["for clients only", [HOST], { uses: { clientAuth: true } }, /not for servers/],
    ["of a weak key", [HOST], { rsaBits: 1024 }, /2048 to 4096/],
  ] as const)("%s", async (_, names, wish, why) => {
    expect(refusal(await certificateFor(names, wish))?.[2]).toMatch(why);
  });

  test("for the host in its common name only", async () => {
    expect(refusal(await certificateFor([HOST, "x.example"]))).toBeUndefined();
    const made = await certificateFor(["x.example"]);
    expect(covers(made.certificate, "x.example")).toBe(true);
    expect(covers((await authority(HOST)).certificate, HOST)).toBe(false);
  });

  test("in the wrong order, or of a chain that is none", async () => {
    const root = await authority("Root");
    const leaf = await certificateFor([HOST], { by: root });
    expect(refusal({ ...leaf, certificate: root.certificate + leaf.certificate })?.[1]).toBe("/certificate");
    const strange = await authority("Strange");
    expect(refusal({ ...leaf, certificate: leaf.certificate + strange.certificate })?.[2]).toMatch(/has not issued/);
  });

  test("of a key that would slow every handshake down, or that is locked", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const locked = privateKey
      .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" })
      .toString();
    expect(refusal({ ...good, privateKey: locked })?.[1]).toBe("/private_key");
  });

  test("without a word of the key in the text", () => {
    const told = JSON.stringify(refusal({ ...good, privateKey: other.privateKey }));
    for (const line of other.privateKey.split("\n").filter((one) => one.length > 20)) expect(told).not.toContain(line);
  });
});
