/** TXT look-ups. "None" is an answer of the DNS; no answer is "unavailable", which proves nothing either way. */
import { Resolver } from "node:dns/promises";

export type TxtAnswer = Readonly<{ kind: "values"; values: readonly string[] }> | Readonly<{ kind: "unavailable" }>;
export type TxtLookup = (name: string) => Promise<TxtAnswer>;

const TIMEOUT_MS = 1500;
const TRIES = 2;
const MAX_VALUES = 20;
const PROOF = "postmeter-verify=";

/** @param servers `host:port` or `host`; none: the system's */
export function createTxtLookup(servers: readonly string[], timeoutMs = TIMEOUT_MS): TxtLookup {
  return async (name) => {
    // A resolver per look-up: one that was cancelled or has given up on a server leaves nothing behind for the next.
    const resolver = new Resolver({ timeout: timeoutMs, tries: TRIES });
    if (servers.length > 0) resolver.setServers([...servers]);
    try {
      return { kind: "values", values: tidy(await resolver.resolveTxt(name)) };
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      return code === "ENOTFOUND" || code === "ENODATA" ? { kind: "values", values: [] } : { kind: "unavailable" };
    }
  };
}

/** Our own first, so that the bound cuts none of them; fit to be stored and shown. */
function tidy(records: readonly (readonly string[])[]): string[] {
  const values = records.map((chunks) =>
    chunks
      .join("")
      .replace(/[\p{Cc}\p{Cs}]/gu, "\ufffd")
      .slice(0, 500),
  );
  const ours = values.filter((value) => value.startsWith(PROOF));
  return [...ours, ...values.filter((value) => !value.startsWith(PROOF))].slice(0, MAX_VALUES);
}
