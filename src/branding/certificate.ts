/**
 * A certificate for the host of a brand, with its key, as they are given: checked as strictly as clients will.
 *
 * Invariant: what passes is a pair that belongs together, covers the host, is in force, and can be served; nothing but the
 * certificates of the PEM is kept. A refusal names the member that is wrong and never repeats any of its text.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { Rule } from "../accounts/fields.ts";
import { invalid } from "../platform/errors.ts";

/** `key`: PKCS #8, PEM. `endsAt`: of the first certificate. */
export type Pair = Readonly<{ certificate: string; key: string; endsAt: Date }>;

export type CertificateFacts = Readonly<{
  /** The host names that it is for; a wildcard as it stands. */
  names: readonly string[];
  issuer: string;
  notBefore: Date;
  notAfter: Date;
  /** SHA-256, hexadecimal with colons. */
  fingerprint: string;
}>;

export const MAX_CHAIN_CHARACTERS = 32 * 1024;
export const MAX_KEY_CHARACTERS = 16 * 1024;

const PEM = /^[\t\r\n -~]*-----BEGIN [\t\r\n -~]+-----END [\t\r\n -~]+$/;
const ONE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
/** Every handshake takes one use of the key, on the thread that takes the mail. */
const RSA_BITS = { least: 2048, most: 4096 };

/** What can be told of a text before anything is looked up: it may be PEM. */
export const certificateText = pemText("CERTIFICATE", "This holds no certificate in PEM form, or a broken one.");
export const keyText = pemText("PRIVATE KEY", "This holds no private key in PEM form without a passphrase.");

function pemText(label: string, wrong: string): Rule {
  return (value) =>
    typeof value === "string" && PEM.test(value) && value.includes(`${label}-----`) ? undefined : wrong;
}

/** @throws Fault invalid at /certificate or /private_key */
export function readPair(given: Readonly<{ certificate: string; privateKey: string }>, host: string, now: Date): Pair {
  const chain = readChain(given.certificate);
  const [leaf] = chain;
  requireFit(leaf, host, now);
  for (const [i, one] of chain.entries()) {
    const next = chain[i + 1];
    if (next !== undefined && !one.checkIssued(next)) {
      throw wrongCertificate(`Certificate ${i + 2} has not issued the one before it: put the chain in order.`);
    }
  }
  const key = readKey(given.privateKey);
  if (!leaf.checkPrivateKey(key)) throw wrongKey("This is not the key of the first certificate.");
  const pair = {
    certificate: chain.map((one) => one.toString()).join(""),
    key: key.export({ type: "pkcs8", format: "pem" }).toString(),
  };
  tryOut(pair);
  return { ...pair, endsAt: new Date(leaf.validTo) };
}

export function describeCertificate(pem: string): CertificateFacts {
  const leaf = new X509Certificate(pem);
  return {
    names: namesOf(leaf),
    issuer: leaf.issuer.replaceAll("\n", ", "),
    notBefore: new Date(leaf.validFrom),
    notAfter: new Date(leaf.validTo),
    fingerprint: leaf.fingerprint256,
  };
}

/** Does it cover that host? A common name does not count (RFC 9525 2.2). */
export function covers(pem: string, host: string): boolean {
  return checkHost(new X509Certificate(pem), host);
}

function checkHost(leaf: X509Certificate, host: string): boolean {
  return leaf.checkHost(host, { subject: "never" }) !== undefined;
}

function namesOf({ subjectAltName }: X509Certificate): string[] {
  return (subjectAltName ?? "").split(", ").flatMap((name) => (name.startsWith("DNS:") ? [name.slice(4)] : []));
}

function readChain(pem: string): [X509Certificate, ...X509Certificate[]] {
  try {
    const [leaf, ...further] = (pem.match(ONE) ?? []).map((one) => new X509Certificate(one));
    if (leaf !== undefined) return [leaf, ...further];
  } catch {
    // said below
  }
  throw wrongCertificate(certificateText("") as string);
}

function requireFit(leaf: X509Certificate, host: string, now: Date): void {
  if (new Date(leaf.validTo) <= now) throw wrongCertificate("It has expired.");
  if (new Date(leaf.validFrom) > now) throw wrongCertificate("It is not in force yet.");
  if (!checkHost(leaf, host)) throw wrongCertificate(`It is not for ${host}: set the host that it is for first.`);
  const uses = leaf.keyUsage as string[] | undefined; // of the extension extKeyUsage; undefined: any
  if (uses !== undefined && !uses.includes(SERVER_AUTH)) throw wrongCertificate("It is not for servers.");
}

function readKey(pem: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw wrongKey(keyText("") as string);
  }
  const { modulusLength: bits = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === "ec" || key.asymmetricKeyType === "ed25519") return key;
  if (key.asymmetricKeyType !== "rsa") throw wrongKey("Keys are RSA, EC or Ed25519.");
  if (bits < RSA_BITS.least || bits > RSA_BITS.most) {
    throw wrongKey(`An RSA key has ${RSA_BITS.least} to ${RSA_BITS.most} bits; EC keys are as strong and faster.`);
  }
  return key;
}

/** What OpenSSL refuses to serve, e.g. a signature by SHA-1. */
function tryOut({ certificate, key }: Omit<Pair, "endsAt">): void {
  try {
    createSecureContext({ cert: certificate, key, minVersion: "TLSv1.2" });
  } catch {
    throw wrongCertificate("It can't be used for TLS 1.2 and later: a key or signature of the chain is too weak.");
  }
}

const wrongCertificate = (detail: string) => invalid("/certificate", detail);
const wrongKey = (detail: string) => invalid("/private_key", detail);
