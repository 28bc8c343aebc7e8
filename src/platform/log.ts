/**
 * One JSON line per event on standard error. Secrets are redacted by name wherever they stand, and by shape in texts; what
 * some reader takes for a line end, or a terminal for a command, is escaped.
 */
import { type DestinationStream, destination, type Logger, pino } from "pino";
import { isoInstant } from "./instant.ts";

export type Log = Logger;

const secretNames = new Set([
  "password",
  "secret",
  "key",
  "token",
  "authorization",
  "api_key",
  "operator_key",
  "cookie",
]);
const CENSORED = "[redacted]";
/** Deeper than this a value is not a log field but an accident. */
const MAX_DEPTH = 6;

/**
 * Lines go out in groups, at the latest after so many milliseconds, and at the end. They are gathered as bytes: as texts
 * they would be joined, and all that waits copied, for each line.
 */
function gatherLines(fd: number): DestinationStream {
  const out = destination({ fd, sync: false, contentMode: "buffer", minLength: 8 * 1024, periodicFlush: 100 });
  return { write: (line) => out.write(Buffer.from(line) as never) };
}

export function createLog(level: string, stream: NodeJS.WritableStream | number = 2): Log {
  const target = typeof stream === "number" ? gatherLines(stream) : (stream as DestinationStream);
  return pino(
    {
      level,
      base: null,
      messageKey: "message",
      timestamp: () => `,"time":"${isoInstant(Date.now())}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...secretNames], censor: CENSORED }, // what a child logger holds
      hooks: {
        streamWrite: escapeUnsafe,
        logMethod(given, method, number) {
          const line = given.length === 1 ? plainLine(this as Bound, given[0], number) : undefined;
          if (line !== undefined) target.write(line);
          else method.apply(this, given.map((one) => redact(one, 0)) as typeof given);
        },
      },
    },
    target,
  );
}

/** `chindings`: what a child logger holds, as the text that stands in its lines. */
type Bound = Log & { readonly [pino.symbols.chindingsSym]: string };

/**
 * The line of an event with plain fields and nothing to hide, as pino would write it, at less than half of the cost: there are two
 * for each message. Undefined: it takes the general way.
 */
function plainLine(log: Bound, event: unknown, level: number): string | undefined {
  if (typeof event !== "object" || event === null || !isFlat(event)) return undefined;
  const text = JSON.stringify(event);
  if (text === "{}" || mayHide(text)) return undefined;
  const head = `{"level":"${pino.levels.labels[level]}","time":"${isoInstant(Date.now())}"${log[pino.symbols.chindingsSym]},`;
  return escapeUnsafe(`${head}${text.slice(1)}\n`);
}

/** Names are few and come again: they are looked at once. */
const harmlessNames = new Set<string>();
const MAX_NAMES = 1000;

/** A plain object of texts and numbers under harmless names. */
function isFlat(event: object): boolean {
  if (Object.getPrototypeOf(event) !== Object.prototype) return false;
  for (const name in event) {
    if (!harmlessNames.has(name) && !isHarmless(name)) return false;
    const value = (event as Record<string, unknown>)[name];
    const kind = typeof value;
    if (kind !== "string" && kind !== "number" && kind !== "boolean" && value !== null && value !== undefined)
      return false;
  }
  return true;
}

function isHarmless(name: string): boolean {
  if (secretNames.has(name.toLowerCase())) return false;
  if (harmlessNames.size < MAX_NAMES) harmlessNames.add(name);
  return true;
}

/** What JSON leaves as it is: DEL and C1, line and paragraph separators, marks that turn the direction of writing. */
const UNSAFE = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
const UNSAFE_ONES = new RegExp(UNSAFE, "g");
const escapeUnsafe = (line: string) => (UNSAFE.test(line) ? line.replaceAll(UNSAFE_ONES, escaped) : line);
const escaped = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;

const mayHide = (text: string) => text.includes("pm_") || (text.includes("://") && text.includes("@"));

function redactFields(fields: object, depth: number): Record<string, unknown> {
  const shown: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    shown[name] = secretNames.has(name.toLowerCase()) && value !== null ? CENSORED : redact(value, depth);
  }
  return shown;
}

function redact(value: unknown, depth: number): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (depth >= MAX_DEPTH) return "[deep]";
  if (value instanceof Error) return redactFields(describeError(value), depth + 1);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((item) => redact(item, depth + 1));
  return redactFields(value, depth + 1);
}

function describeError(error: Error): object {
  const { code } = error as { code?: unknown };
  return { name: error.name, message: error.message, ...(code === undefined ? {} : { code }), stack: error.stack };
}

/** Our keys, and passwords in URLs. */
export function redactText(text: string): string {
  if (!mayHide(text)) return text;
  return text
    .replace(/\bpm_(op|live|test)_[A-Za-z0-9_-]+/g, `pm_$1_${CENSORED}`)
    .replace(/(\w+:\/\/[^\s/:@]*):[^\s/@]+@/g, `$1:${CENSORED}@`);
}
