/**
 * One JSON line per event on standard error. Secrets are redacted by name wherever they stand, and by shape in texts; what
 * some reader takes for a line end, or a terminal for a command, is escaped.
 */
import { destination, type Logger, pino } from "pino";

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

/** Lines go out in groups, at the latest after so many milliseconds, and at the end. */
const gathered = { minLength: 8 * 1024, periodicFlush: 100 };

export function createLog(level: string, stream: NodeJS.WritableStream | number = 2): Log {
  return pino(
    {
      level,
      base: null,
      messageKey: "message",
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...secretNames], censor: CENSORED }, // what a child logger holds
      hooks: {
        streamWrite: (line) => (UNSAFE.test(line) ? line.replaceAll(UNSAFE_ONES, escaped) : line),
        logMethod(given, method) {
          method.apply(this, (given.every(isClean) ? given : given.map((one) => redact(one, 0))) as typeof given);
        },
      },
    },
    typeof stream === "number" ? destination({ fd: stream, sync: false, ...gathered }) : (stream as never),
  );
}

/** What JSON leaves as it is: DEL and C1, line and paragraph separators, marks that turn the direction of writing. */
const UNSAFE = /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;
const UNSAFE_ONES = new RegExp(UNSAFE, "g");
const escaped = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Most lines hold nothing to hide, and are not copied. */
function isClean(value: unknown): boolean {
  if (typeof value === "string") return !mayHide(value);
  if (typeof value !== "object" || value === null) return true;
  if (Object.getPrototypeOf(value) !== Object.prototype) return false;
  for (const name in value) {
    const field = (value as Record<string, unknown>)[name];
    if (field === null) continue;
    if (secretNames.has(name.toLowerCase()) || (typeof field === "string" ? mayHide(field) : typeof field === "object"))
      return false;
  }
  return true;
}

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
