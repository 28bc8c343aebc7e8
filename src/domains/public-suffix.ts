/** Public suffixes (publicsuffix.org): names under which anybody may register, so nobody can own them here. */
import { parse } from "tldts";

/** `name`: lower-case A-labels. A single label always is one. */
export function isPublicSuffix(name: string): boolean {
  const { publicSuffix, domain } = parse(name, { allowPrivateDomains: true, detectIp: false });
  return !name.includes(".") || (domain === null && publicSuffix === name);
}
