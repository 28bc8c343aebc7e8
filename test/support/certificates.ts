/** Certificates for hosts of brands, as an authority would make them. */
import { createPublicKey, X509Certificate } from "node:crypto";
import { generate } from "selfsigned";

export type Made = Readonly<{ certificate: string; privateKey: string }>;

type Wish = Readonly<{
  from?: Date;
  until?: Date;
  /** Extended key usage. */
  uses?: Readonly<{ serverAuth?: boolean; clientAuth?: boolean }>;
  /** Who signs it; itself unless told. */
  by?: Made;
  rsaBits?: number;
}>;

const DAY_MS = 86_400_000;

export async function certificateFor(names: readonly string[], wish: Wish = {}): Promise<Made> {
  const { from = new Date(Date.now() - DAY_MS), until = new Date(Date.now() + 90 * DAY_MS), uses, by, rsaBits } = wish;
  const kind = rsaBits === undefined ? { keyType: "ec", curve: "P-256" } : { keyType: "rsa", keySize: rsaBits };
  const made = await generate([{ name: "commonName", value: names[0] ?? "nobody" }], {
    ...(kind as { keyType: "ec"; curve: "P-256" }),
    algorithm: "sha256",
    notBeforeDate: from,
    notAfterDate: until,
    ...(by && { ca: { key: by.privateKey, cert: by.certificate } }),
    extensions: [
      { name: "subjectAltName", altNames: names.map((value) => ({ type: 2 as const, value })) },
      ...(uses ? [{ name: "extKeyUsage" as const, ...uses }] : []),
    ],
  });
  return { certificate: made.cert, privateKey: made.private };
}

/** An authority that signs others. */
export async function authority(name: string): Promise<Made> {
  const made = await generate([{ name: "commonName", value: name }], {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true, critical: true },
      { name: "keyUsage", keyCertSign: true, digitalSignature: true },
    ],
  });
  return { certificate: made.cert, privateKey: made.private };
}

/** What a client has seen, by its fingerprint. */
export const fingerprintOf = ({ certificate }: Made): string => new X509Certificate(certificate).fingerprint256;

/** The key's public half, which is no private key. */
export const publicHalf = ({ privateKey }: Made): string =>
  createPublicKey(privateKey).export({ type: "spki", format: "pem" }).toString();
