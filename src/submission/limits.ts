/**
 * How long and how much a client may take. Times are those of RFC 5321 4.5.3.2 or longer; each has an end that no
 * trickle of bytes puts off, so that a thousand slow clients cost a thousand sockets for minutes, not for ever.
 */
import { networkOf } from "../accounts/lockout.ts";
import type { Reply } from "../mail/reply.ts";
import { timeout } from "./replies.ts";

export type Limits = Readonly<{
  maxConnectionsPerClient: number;
  maxConnections: number;
  /** From the accepted connection to the greeting: PROXY header and TLS handshake. */
  openMs: number;
  /** How long a trusted proxy may take to begin its PROXY header; one that says nothing by then is greeted as itself. */
  proxyHeaderMs: number;
  /** Without AUTH, from the greeting on. */
  authenticateMs: number;
  /** From our last reply to the next whole command. */
  commandMs: number;
  /** From 354 to the final dot. */
  dataMs: number;
  /** Since the last command that made progress: a message was accepted. */
  maxCommands: number;
  /** Syntax and sequence errors since the last accepted message. */
  maxErrors: number;
  /** How long messages under way may take when the program ends. */
  drainMs: number;
  /** AUTH failures of one connection, whatever the user names. */
  maxAuthFailures: number;
  /** What all sessions together hold of messages that are not stored yet, but for a small floor of each. */
  maxReceivingBytes: number;
}>;

export const defaultLimits = {
  maxConnections: 10_000,
  openMs: 30_000,
  proxyHeaderMs: 200,
  authenticateMs: 300_000,
  commandMs: 300_000,
  dataMs: 1_800_000,
  drainMs: 15_000,
  maxErrors: 30,
  maxAuthFailures: 5,
  maxReceivingBytes: 32 * 1024 * 1024,
} satisfies Partial<Limits>;

/** Where a connection stands. `busy`: the client waits for us, and no deadline runs. Instants are of performance.now(). */
export type Progress = Readonly<{
  phase: "command" | "data" | "busy";
  openedAtMs: number;
  phaseSinceMs: number;
  authenticated: boolean;
}>;

/** The reply with which to close a connection whose time is up; undefined while it may go on. */
export function overdue(progress: Progress, limits: Limits, nowMs: number): Reply | undefined {
  const { phase, openedAtMs, phaseSinceMs, authenticated } = progress;
  if (phase === "busy") return undefined;
  if (nowMs - phaseSinceMs >= (phase === "data" ? limits.dataMs : limits.commandMs)) return timeout;
  return !authenticated && nowMs - openedAtMs >= limits.authenticateMs ? timeout : undefined;
}

/** Counts open connections by client: an IPv4 address, or a /64 of IPv6. */
export function createConnectionCounter(max: number) {
  const open = new Map<string, number>();
  return {
    /** False when the client has its share; else its place must be given back with `leave`. */
    enter(address: string): boolean {
      const key = networkOf(address);
      const count = open.get(key) ?? 0;
      if (count >= max) return false;
      open.set(key, count + 1);
      return true;
    },
    leave(address: string): void {
      const key = networkOf(address);
      const count = open.get(key) ?? 0;
      if (count > 1) open.set(key, count - 1);
      else open.delete(key);
    },
    get clients(): number {
      return open.size;
    },
  };
}

export type ConnectionCounter = ReturnType<typeof createConnectionCounter>;
