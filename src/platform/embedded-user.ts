/** The user that the embedded PostgreSQL runs as: itself, or an unprivileged one when root starts it (it refuses root). */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { Fault } from "./errors.ts";

export type RunAs = Readonly<{ uid?: number; gid?: number }>;

const candidates = ["postmeter", "postgres", "nobody"];

export function embeddedUser(): RunAs {
  if (process.getuid?.() !== 0) return {};
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  for (const name of candidates) {
    const found = users.find((fields) => fields[0] === name);
    if (found?.[2] !== undefined && found[3] !== undefined) return { uid: Number(found[2]), gid: Number(found[3]) };
  }
  throw new Fault(
    "unavailable",
    "PostgreSQL does not run as root, and there is no user postmeter, postgres or nobody.",
  );
}

/** Whether that user can get at a program or folder: asked by trying, since access lists and mounts have their say too. */
export function reachable(path: string, user: RunAs): boolean {
  if (user.uid === undefined) return true;
  const tried = spawnSync("/usr/bin/test", ["-x", path], { ...user, cwd: "/", stdio: "ignore" });
  return tried.status === 0;
}
