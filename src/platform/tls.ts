/**
 * The certificate of the servers: given as files, or self-signed and kept in the data folder.
 *
 * Invariant: `context()` always is a pair that belongs together and was read whole; a failed `reload` changes nothing.
 * On failure: a Fault that names the file and what is wrong with it.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { Fault } from "./errors.ts";
import { makeCertificate } from "./tls-self-signed.ts";

export type Tls = Readonly<{
  context(): SecureContextOptions;
  /** Reads the files again. Throws, and goes on with what it had, when they are no good. */
  reload(): Promise<void>;
  /** Clients can't verify it without being given the certificate. */
  selfSigned: boolean;
  /** The PEM file of the certificate. */
  certificateFile: string;
  expiresAt(): Date;
}>;

export type TlsOptions = Readonly<{ cert: string; key: string; hostname: string; dataDir: string }>;

type Pair = Readonly<{ cert: string; key: string; expiresAt: Date }>;

export async function openTls(options: TlsOptions): Promise<Tls> {
  const selfSigned = options.cert === "";
  const certFile = selfSigned ? join(options.dataDir, "tls-cert.pem") : options.cert;
  const keyFile = selfSigned ? join(options.dataDir, "tls-key.pem") : options.key;
  const load = async () => {
    if (selfSigned) await makeCertificate({ certFile, keyFile, hostname: options.hostname });
    return readPair(certFile, keyFile);
  };
  let pair = await load();
  return {
    selfSigned,
    certificateFile: certFile,
    context: () => ({ cert: pair.cert, key: pair.key, minVersion: "TLSv1.2" }),
    expiresAt: () => pair.expiresAt,
    async reload() {
      pair = await load();
    },
  };
}

function readPair(certFile: string, keyFile: string): Pair {
  const cert = readPem(certFile, "POSTMETER_TLS_CERT");
  const key = readPem(keyFile, "POSTMETER_TLS_KEY");
  const leaf = parse(
    () => new X509Certificate(cert),
    `${certFile} (POSTMETER_TLS_CERT) holds no certificate in PEM form`,
  );
  const owner = parse(() => createPrivateKey(key), `${keyFile} (POSTMETER_TLS_KEY) holds no private key in PEM form`);
  if (!leaf.checkPrivateKey(owner)) {
    throw new Fault("unavailable", `${keyFile} is not the key of the first certificate of ${certFile}.`);
  }
  parse(() => createSecureContext({ cert, key }), `${certFile} can't be used: a certificate of the chain is broken`);
  return { cert, key, expiresAt: new Date(leaf.validTo) };
}

function readPem(path: string, variable: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Fault("unavailable", `${path} (${variable}) can't be read: ${(error as NodeJS.ErrnoException).code}.`);
  }
}

function parse<T>(read: () => T, wrong: string): T {
  try {
    return read();
  } catch {
    throw new Fault("unavailable", `${wrong}.`);
  }
}
