/** ETag and If-Match (RFC 9110 section 13.1.1) over the version of a row. */
import { Problem } from "./problem.ts";

export function etagOf(version: number): string {
  return `"${version}"`;
}

/**
 * The version a change may be based on; undefined when the caller does not mind which.
 * A weak tag never matches: If-Match compares strongly.
 * @throws Problem precondition-failed when no tag given can be one of ours.
 */
export function expectedVersions(ifMatch: string | undefined): readonly number[] | undefined {
  if (ifMatch === undefined || ifMatch.trim() === "*") return undefined;
  const versions = ifMatch.split(",").flatMap((tag) => {
    const version = /^\s*"(\d{1,15})"\s*$/.exec(tag)?.[1];
    return version === undefined ? [] : [Number(version)];
  });
  if (versions.length === 0) throw stale();
  return versions;
}

/**
 * The one version to pass on to the rule, which compares it under the lock. `read` is asked only when there is an If-Match.
 * @throws Problem precondition-failed
 */
export async function versionFor(
  ifMatch: string | undefined,
  read: () => Promise<Readonly<{ version?: number }>>,
): Promise<number | undefined> {
  const versions = expectedVersions(ifMatch);
  if (versions === undefined) return undefined;
  const { version } = await read();
  if (version === undefined || !versions.includes(version)) throw stale();
  return version;
}

function stale(): Problem {
  return new Problem("precondition-failed", "It was changed since you read it: read it again, then repeat the change.");
}
