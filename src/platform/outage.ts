/** Tells a database that can't answer just now from a mistake in the program. */

/** Classes of SQLSTATE: 08 connection, 53 out of resources, 57 stopped or cancelled, 40 rolled back by the server. */
const CLASSES = new Set(["08", "53", "57", "40"]);
const LOCK_NOT_AVAILABLE = "55P03";
/** The server ends the connection, whatever it was doing: stopping, or after a crash of another connection. */
const ENDED = new Set(["57P01", "57P02"]);
const SYSTEM = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "ENOENT",
  "EHOSTUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);
/** Class 28: user or password; 3D: no such database. */
const NO_ENTRY = /^(28...|3D000)$/;
const MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/;

/** True when the same request may succeed in a moment: connection lost, lock or statement timeout, server stopping. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  if (typeof code === "string") {
    if (code === LOCK_NOT_AVAILABLE || (code.length === 5 && CLASSES.has(code.slice(0, 2)))) return true;
    if (SYSTEM.has(code))
      return syscall === "connect" || syscall === "read" || syscall === "write" || syscall === "getaddrinfo";
  }
  return MESSAGES.test(error.message);
}

/** Why there is no way to PostgreSQL, in words for the operator; undefined: the error is of another kind. */
export function connectionProblem(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const [reason] = error.message.split("\n");
  if (isOutage(error)) return `PostgreSQL can't be reached: ${reason}`;
  const { code } = error as { code?: unknown };
  return typeof code === "string" && NO_ENTRY.test(code) ? `PostgreSQL lets nobody in: ${reason}` : undefined;
}

/**
 * Of an outage: true when the connection was lost while a call was under way. Had COMMIT been sent, nobody knows what
 * came of it. False when the server itself said no, or none was reached: then nothing was changed.
 */
export function mayHaveCommitted(error: unknown): boolean {
  if (!isOutage(error)) return false;
  const { code, syscall, message } = error as Error & { code?: unknown; syscall?: unknown };
  if (typeof code === "string" && code.length === 5 && !SYSTEM.has(code))
    return code.startsWith("08") || ENDED.has(code);
  if (syscall === "connect" || syscall === "getaddrinfo") return false;
  return !/connection timeout|timeout exceeded when trying to connect/.test(message);
}
