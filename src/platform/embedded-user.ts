/** The user that the embedded PostgreSQL runs as: itself, or an unprivileged one when root starts it (it refuses root). */
import { readFileSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Fault } from "./errors.ts";

/** Empty: as the program itself. */
export type RunAs = Readonly<{ uid?: number; gid?: number }>;

const candidates = ["postmeter", "nobody"];

/** `cluster`: the database's folder; one that exists is run by its owner, whoever starts the program. */
export function embeddedUser(cluster: string): RunAs {
  const me = process.getuid?.();
  if (me === undefined) return {};
  const owner = statSync(cluster, { throwIfNoEntry: false });
  if (me !== 0) {
    if (owner === undefined || owner.uid === me) return {};
    throw new Fault(
      "unavailable",
      `The database in ${cluster} belongs to another user (${owner.uid}): start as that user or as root, or set POSTMETER_DATA_DIR.`,
    );
  }
  if (owner !== undefined && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  return unprivileged();
}

function unprivileged(): RunAs {
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  for (const name of candidates) {
    const found = users.find((fields) => fields[0] === name);
    if (found?.[2] !== undefined && found[3] !== undefined) return { uid: Number(found[2]), gid: Number(found[3]) };
  }
  throw new Fault("unavailable", "PostgreSQL does not run as root, and there is no user named postmeter or nobody.");
}

/** Whether that user may pass through all folders down to `path` and enter or run it, by their modes. */
export function canReach(path: string, user: RunAs): boolean {
  if (user.uid === undefined) return true;
  for (let at = realpathSync(path); ; at = dirname(at)) {
    const { mode, uid, gid } = statSync(at);
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === dirname(at)) return true;
  }
}
