/**
 * The certificate for the name that a client of SMTP asks for (RFC 6066 section 3).
 *
 * Invariant: a brand's certificate is served for its host alone, while that is proven; for anything else, and whatever
 * fails, there is none here, and the node's own is served. At most MAX_CONTEXTS keys are held decrypted.
 * On failure of the database: a name that was served before is served on, so that clients don't see a wrong certificate.
 */
import { createSecureContext, type SecureContext } from "node:tls";
import type { Soon } from "../accounts/recent.ts";
import type { Db } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import type { Keyring } from "../platform/secrets.ts";
import { keyContext } from "./change-certificate.ts";
import type { BrandHost, BrandHosts } from "./hosts.ts";

export type SniOptions = Readonly<{ db: Db; keyring: Keyring; hosts: BrandHosts; log: Log; maxContexts?: number }>;

/** Undefined: the node's own. Never throws, and never rejects. */
export type CertificateFor = (name: string) => Soon<SecureContext | undefined>;

const MAX_CONTEXTS = 500;

type Kept = Readonly<{ mark: string; context: SecureContext }>;

export function createCertificates(options: SniOptions): CertificateFor {
  const { hosts, log, maxContexts = MAX_CONTEXTS } = options;
  const kept = new Map<string, Kept>(); // by host; the one that was used last comes last
  const use = (host: string, one: Kept) => {
    kept.delete(host);
    kept.set(host, one);
    for (const oldest of kept.keys()) {
      if (kept.size <= maxContexts) break;
      kept.delete(oldest);
    }
    return one.context;
  };
  const serve = (found: BrandHost | undefined): Soon<SecureContext | undefined> => {
    if (found === undefined || found.certificateMark === null) return undefined;
    const { host, certificateMark: mark } = found;
    const known = kept.get(host);
    if (known?.mark === mark) return use(host, known);
    return load(options, found).then((context) => context && use(host, { mark, context }));
  };
  return (name) => {
    const found = hosts.find(name);
    const answer = found instanceof Promise ? found.then(serve) : serve(found);
    if (!(answer instanceof Promise)) return answer;
    return answer.catch((error: unknown) => {
      log.warn({ event: "tls.brand_failed", host: name, err: error }, "the certificate of a brand was not served");
      return kept.get(name.toLowerCase())?.context;
    });
  };
}

async function load({ db, keyring }: SniOptions, { accountId }: BrandHost): Promise<SecureContext | undefined> {
  const row = await db
    .selectFrom("brand")
    .select(["certificate", "certificate_key"])
    .where("account_id", "=", accountId)
    .executeTakeFirst();
  if (row?.certificate == null || row.certificate_key === null) return undefined;
  const key = keyring.decrypt(row.certificate_key, keyContext(accountId));
  return createSecureContext({ cert: row.certificate, key, minVersion: "TLSv1.2" });
}
