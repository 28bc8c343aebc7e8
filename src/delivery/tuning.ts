/** The numbers of delivery that are no settings. Milliseconds and bytes. */
import type { Patience } from "./conversation.ts";
import type { SetupPatience } from "./transport.ts";

export type Tuning = Readonly<{
  leaseMs: number;
  handoffBytes: number;
  /** Of these, for one subaccount at most. */
  subaccountBytes: number;
  /** Claimed messages held at once: by a route to one host, and by direct delivery to many. */
  claimed: number;
  mxClaimed: number;
  shortestPauseMs: number; // between claims that found nothing
  longestPauseMs: number;
  /** How long outcomes are gathered before they are written. */
  gatherMs: number;
  /** RFC 5321 4.5.3.2. */
  patience: Patience & SetupPatience;
  /** Recipients of one transaction (RFC 5321 4.5.3.1.8). */
  recipients: number;
  breaker: Readonly<{ failures: number; firstPauseMs: number; longestPauseMs: number }>;
  mxConnections: number;
  mxPort: number;
  /** Authorities to trust besides the system's (PEM). */
  ca: string | undefined;
  random: () => number;
  watchMs: number;
}>;

export const tuned: Tuning = {
  leaseMs: 60_000,
  handoffBytes: 64 * 1024 * 1024,
  subaccountBytes: 16 * 1024 * 1024,
  claimed: 1024,
  mxClaimed: 2048,
  shortestPauseMs: 50,
  longestPauseMs: 2_000,
  gatherMs: 20,
  patience: {
    connect: 30_000,
    setup: 120_000,
    command: 300_000,
    body: 180_000,
    end: 600_000,
    idle: 30_000,
  },
  recipients: 100,
  breaker: { failures: 5, firstPauseMs: 5_000, longestPauseMs: 120_000 },
  mxConnections: 400,
  mxPort: 25,
  ca: undefined,
  random: Math.random,
  watchMs: 1_000,
};
