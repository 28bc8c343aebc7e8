/** A certificate for this machine, kept between starts so that a client that trusts it goes on doing so. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { generate } from "selfsigned";

export type CertificateFiles = Readonly<{ certFile: string; keyFile: string; hostname: string }>;

const DAY_MS = 86_400_000;
const VALID_DAYS = 365;
const RENEW_BEFORE_DAYS = 30;

/** Makes the files unless a fitting pair with some time left is there. */
export async function makeCertificate({ certFile, keyFile, hostname }: CertificateFiles): Promise<void> {
  if (isFit(certFile, keyFile, hostname)) return;
  const made = await generate([{ name: "commonName", value: hostname.slice(0, 64) }], {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
    notBeforeDate: new Date(Date.now() - DAY_MS),
    notAfterDate: new Date(Date.now() + VALID_DAYS * DAY_MS),
    extensions: [
      { name: "basicConstraints", cA: false },
      { name: "keyUsage", digitalSignature: true },
      { name: "extKeyUsage", serverAuth: true },
      {
        name: "subjectAltName",
        altNames: [
          ...[...new Set([hostname, "localhost"])].map((value) => ({ type: 2 as const, value })),
          { type: 7, ip: "127.0.0.1" },
          { type: 7, ip: "::1" },
        ],
      },
    ],
  });
  mkdirSync(dirname(certFile), { recursive: true, mode: 0o700 });
  replace(keyFile, made.private, 0o600);
  replace(certFile, made.cert, 0o644);
}

function isFit(certFile: string, keyFile: string, hostname: string): boolean {
  try {
    const certificate = new X509Certificate(readFileSync(certFile));
    const leftMs = new Date(certificate.validTo).getTime() - Date.now();
    const belongs = certificate.checkPrivateKey(createPrivateKey(readFileSync(keyFile)));
    return belongs && leftMs > RENEW_BEFORE_DAYS * DAY_MS && certificate.checkHost(hostname) !== undefined;
  } catch {
    return false;
  }
}

function replace(path: string, text: string, mode: number): void {
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, text, { mode, flush: true });
  renameSync(fresh, path);
}
