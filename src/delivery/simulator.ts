/**
 * Where sandbox mail ends: it is kept in the built-in mailbox, and addresses of the simulator answer as servers do.
 *
 * `delivered@`, `bounced@`, `deferred@` and `slow@` of SIMULATOR_DOMAIN are taken, refused for good, put off at each attempt (so
 * that they are returned when the message's lifetime ends), and taken after SLOW_MS. Every other address is taken.
 * Invariant: nothing is sent to anybody.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { formatId } from "../platform/ids.ts";
import { type Capture, openShelf } from "./capture.ts";
import type { Connection } from "./conversation.ts";

export const SIMULATOR_DOMAIN = "simulator.postmeter.test";
export const SLOW_MS = 5_000;

const TAKEN = "250 2.1.5 Ok";
const answers: Readonly<Record<string, string>> = {
  [`bounced@${SIMULATOR_DOMAIN}`]: "550 5.1.1 No such user (simulated)",
  [`deferred@${SIMULATOR_DOMAIN}`]: "451 4.7.1 Try again later (simulated)",
};

export function openSimulator(capture: Capture, slowMs = SLOW_MS): Connection {
  return openShelf(async ({ task, recipients, exchange, read }) => {
    const replies = recipients.map(({ address }) => answers[address.toLowerCase()] ?? TAKEN);
    const taken = recipients.filter((_, i) => replies[i] === TAKEN).map(({ address }) => address);
    if (taken.some((address) => address.toLowerCase() === `slow@${SIMULATOR_DOMAIN}`)) await sleep(slowMs);
    const parts: Uint8Array[] = [];
    if (taken.length > 0) for await (const part of task.bytes ?? read()) parts.push(part);
    const id = taken.length === 0 ? undefined : await capture(task, taken, Buffer.concat(parts));
    exchange.mail = "250 2.1.0 Ok";
    exchange.rcpt = replies;
    if (id !== undefined) exchange.end = `250 2.0.0 Captured as ${formatId("cap", id)}`;
  });
}
