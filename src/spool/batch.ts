/**
 * A batch as the parameters of `accept_batch` (migrations/0006): columns side by side, all bodies in one bytea that the
 * server cuts. One bytea parameter is the fastest way in; arrays of bytea would be sent as text. It is the last one, and goes
 * to the server in the pieces in which it came (platform/bytes-query).
 */
import type { AccountId } from "../platform/ids.ts";
import { type PlainElement, plainArray, textArray } from "../platform/plain-array.ts";
import type { Submission } from "./message.ts";

/** The usage rows a batch needs, in the one order in which everybody locks them. */
export type UsageKey = Readonly<{ accountId: AccountId; start: Date; end: Date }>;

/** `bodies`: the last parameter, in pieces. */
export type Batch = Readonly<{
  keys: readonly UsageKey[];
  values: readonly unknown[];
  bodies: readonly Uint8Array[];
  /** Of a batch all messages are, or none is. */
  sandbox: boolean;
}>;

export const ACCEPT = {
  name: "accept_batch",
  text: `select * from accept_batch($1::uuid[], $2::timestamptz[], $3::uuid[], $4::int[], $5::int[], $6::int[], $7::uuid[], $8::text[],
    $9::int[], $10::int[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::boolean[], $17::boolean[], $18::boolean[],
    $19::int[], $20::int[], $29::bytea, $21::int[], $22::int[], $23::text[], $24::text[], $25::text[], $26::int,
    make_interval(secs => $27::float8), make_interval(secs => $28::float8))`,
} as const;

/** The same call for sandbox mail (migrations/0033). */
export const ACCEPT_SANDBOX = {
  name: "accept_sandbox",
  text: ACCEPT.text.replace("accept_batch(", "accept_sandbox("),
} as const;

const keyOf = (accountId: AccountId, start: Date) => `${accountId} ${start.getTime()}`;

function usageKeys(messages: readonly Submission[]): Map<string, UsageKey> {
  const keys = new Map<string, UsageKey>();
  for (const { masterId, subaccountId, period } of messages) {
    for (const accountId of [masterId, subaccountId]) {
      const key = keyOf(accountId, period.start);
      if (!keys.has(key)) keys.set(key, { accountId, start: period.start, end: period.end });
    }
  }
  return new Map([...keys].sort(([, a], [, b]) => inLockOrder(a, b)));
}

function inLockOrder(a: UsageKey, b: UsageKey): number {
  if (a.accountId !== b.accountId) return a.accountId < b.accountId ? -1 : 1;
  return a.start.getTime() - b.start.getTime();
}

/** `lease[i]`: message i is handed over in memory and inserted under this process's lease. */
export function encodeBatch(
  messages: readonly Submission[],
  lease: readonly boolean[],
  holder: { owner: number; leaseMs: number; lifetimeMs: number },
): Batch {
  const keys = usageKeys(messages);
  const index = new Map([...keys.keys()].map((key, i) => [key, i + 1]));
  const place = (accountId: AccountId, start: Date) => index.get(keyOf(accountId, start));
  const text = (of: (message: Submission) => string | null): string => textArray(messages.map(of));
  const plain = (of: (message: Submission) => PlainElement): string => plainArray(messages.map(of));
  const lengths = messages.map((m) => m.partZero.reduce((sum, bytes) => sum + bytes.length, 0));
  let offset = 1;
  const offsets = lengths.map((length) => {
    const at = offset;
    offset += length;
    return at;
  });
  const recipients = messages.flatMap((m, i) => m.recipients.map((r, n) => ({ m: i + 1, n, ...r })));
  return {
    keys: [...keys.values()],
    values: [
      plainArray([...keys.values()].map((key) => key.accountId)),
      [...keys.values()].map((key) => key.start.toISOString()),
      plain((m) => m.id),
      plain((m) => place(m.subaccountId, m.period.start)),
      plain((m) => place(m.masterId, m.period.start)),
      plain((m) => m.units),
      plain((m) => m.credentialId),
      text((m) => m.sender),
      plain((m) => m.sizeBytes),
      plain((m) => m.bodyParts),
      text((m) => m.headerFrom),
      text((m) => m.headerMessageId),
      text((m) => m.subject),
      text((m) => m.envelopeId),
      plain((m) => m.ret),
      plain((m) => m.eightBit),
      plain((m) => m.smtpUtf8),
      plainArray(lease),
      plainArray(offsets),
      plainArray(lengths),
      plainArray(recipients.map((r) => r.m)),
      plainArray(recipients.map((r) => r.n)),
      textArray(recipients.map((r) => r.address)),
      textArray(recipients.map((r) => r.originalRecipient)),
      textArray(recipients.map((r) => r.notify)),
      holder.owner,
      holder.leaseMs / 1000,
      holder.lifetimeMs / 1000,
    ],
    bodies: messages.flatMap((m) => m.partZero),
    sandbox: messages[0]?.sandbox === true,
  };
}
