/** Certificates for played upstreams, each its own authority. */
import { generate } from "selfsigned";

export type Certificate = Readonly<{ key: string; cert: string }>;

export async function makeCertificate(...names: string[]): Promise<Certificate> {
  const made = await generate([{ name: "commonName", value: names[0] ?? "" }], {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
    extensions: [
      {
        name: "subjectAltName",
        altNames: names.map((value) => (/^[\d.]+$/.test(value) ? { type: 7, ip: value } : { type: 2, value })),
      },
    ],
  });
  return { key: made.private, cert: made.cert };
}
