/**
 * Passwords: argon2id (RFC 9106) with the parameters of OWASP (19 MiB, two passes), off the main thread.
 *
 * Invariant: one hash is computed at a time, and after each comes a rest as long as it took, so that mail finds threads,
 * memory and half a processor at least, however many knock; whoever comes when too many wait is told to come again. An
 * unknown person costs the same hash as a known one.
 * On failure: throws; nobody is let in.
 */
import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Rule } from "../accounts/fields.ts";
import { Fault } from "../platform/errors.ts";

export type Passwords = Readonly<{
  /** In PHC form. @throws Fault unavailable when too many wait */
  hash(password: string): Promise<string>;
  /** `hash` null: there is none, and the answer is no after the same work. */
  matches(password: string, hash: string | null): Promise<boolean>;
}>;

const MIN_CHARS = 12;
const MAX_CHARS = 200;
const MAX_WAITING = 20;
const MEMORY_KIB = 19_456;
const PASSES = 2;
const TAG_BYTES = 32;
const SALT_BYTES = 16;

const compute = promisify(argon2);

/** NIST SP 800-63B: length counts, and no mixture of kinds is asked. */
export const password: Rule = (value) => {
  if (typeof value !== "string" || !value.isWellFormed()) return "This is not a password.";
  const { length } = [...value];
  if (length < MIN_CHARS)
    return `A password has at least ${MIN_CHARS} characters: some words in a row are easy to keep in mind.`;
  if (length > MAX_CHARS) return `A password has at most ${MAX_CHARS} characters.`;
  if (new Set(value).size < 5) return "A password has at least five different characters.";
  return undefined;
};

/** @param rest is given the ms that a hash took; the next one waits for it */
export function createPasswords(rest: (ms: number) => Promise<unknown> = (ms) => sleep(ms)): Passwords {
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  /** One after the other. */
  const inTurn = async <T>(work: () => Promise<T>): Promise<T> => {
    if (waiting >= MAX_WAITING) throw new Fault("unavailable", "Too many log in just now: try again in a moment.");
    waiting += 1;
    const turn = last.then(() => timed(work));
    last = turn.then(
      ({ tookMs }) => rest(tookMs),
      () => {},
    );
    try {
      return (await turn).done;
    } finally {
      waiting -= 1;
    }
  };
  const derive = (text: string, salt: Buffer, memory: number, passes: number) =>
    inTurn(() =>
      compute("argon2id", {
        message: text.normalize("NFKC"),
        nonce: salt,
        parallelism: 1,
        tagLength: TAG_BYTES,
        memory,
        passes,
      }),
    );
  return {
    async hash(text) {
      const salt = randomBytes(SALT_BYTES);
      return formOf(salt, await derive(text, salt, MEMORY_KIB, PASSES));
    },
    async matches(text, hash) {
      const { salt, tag, memory, passes } = parse(hash ?? NOBODYS);
      const given = await derive(text.slice(0, 4 * MAX_CHARS), salt, memory, passes);
      return timingSafeEqual(given, tag) && hash !== null;
    },
  };
}

async function timed<T>(work: () => Promise<T>): Promise<{ done: T; tookMs: number }> {
  const started = performance.now();
  return { done: await work(), tookMs: performance.now() - started };
}

function formOf(salt: Buffer, tag: Buffer): string {
  return `$argon2id$v=19$m=${MEMORY_KIB},t=${PASSES},p=1$${base64(salt)}$${base64(tag)}`;
}

const base64 = (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "");

const NOBODYS = formOf(Buffer.alloc(SALT_BYTES), Buffer.alloc(TAG_BYTES));

function parse(hash: string): { salt: Buffer; tag: Buffer; memory: number; passes: number } {
  const [, memory, passes, salt, tag] = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=1\$([^$]+)\$([^$]+)$/.exec(hash) ?? [];
  if (memory === undefined || salt === undefined || tag === undefined)
    throw new Error("a password hash of another form");
  return {
    salt: Buffer.from(salt, "base64"),
    tag: Buffer.from(tag, "base64"),
    memory: Number(memory),
    passes: Number(passes),
  };
}
