/**
 * A batch as the parameters of `accept_batch` (migrations/0006): columns side by side, all bodies in one bytea that the
 * server cuts. One bytea parameter is the fastest way in; arrays of bytea would be sent as text.
 */
import type { AccountId } from "../platform/ids.ts";
import type { Submission } from "./message.ts";

/** The usage rows a batch needs, in the one order in which everybody locks them. */
export type UsageKey = Readonly<{ accountId: AccountId; start: Date; end: Date }>;

export type Batch = Readonly<{ keys: readonly UsageKey[]; values: readonly unknown[] }>;

export const ACCEPT = {
  name: "accept_batch",
  text: `select * from accept_batch($1::uuid[], $2::timestamptz[], $3::uuid[], $4::int[], $5::int[], $6::int[], $7::uuid[], $8::text[],
    $9::int[], $10::int[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::boolean[], $17::boolean[], $18::boolean[],
    $19::int[], $20::int[], $21::bytea, $22::int[], $23::int[], $24::text[], $25::text[], $26::text[], $27::int,
    make_interval(secs => $28::float8), make_interval(secs => $29::float8))`,
} as const;

const keyOf = (accountId: AccountId, start: Date) => `${accountId} ${start.toISOString()}`;

function usageKeys(messages: readonly Submission[]): Map<string, UsageKey> {
  const keys = new Map<string, UsageKey>();
  for (const { masterId, subaccountId, period } of messages) {
    for (const accountId of [masterId, subaccountId]) {
      keys.set(keyOf(accountId, period.start), { accountId, start: period.start, end: period.end });
    }
  }
  return new Map([...keys].sort(([a], [b]) => (a < b ? -1 : 1)));
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
  const column = <T>(of: (message: Submission) => T): T[] => messages.map(of);
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
      [...keys.values()].map((key) => key.accountId),
      [...keys.values()].map((key) => key.start.toISOString()),
      column((m) => m.id),
      column((m) => place(m.subaccountId, m.period.start)),
      column((m) => place(m.masterId, m.period.start)),
      column((m) => m.units),
      column((m) => m.credentialId),
      column((m) => m.sender),
      column((m) => m.sizeBytes),
      column((m) => m.bodyParts),
      column((m) => m.headerFrom),
      column((m) => m.headerMessageId),
      column((m) => m.subject),
      column((m) => m.envelopeId),
      column((m) => m.ret),
      column((m) => m.eightBit),
      column((m) => m.smtpUtf8),
      lease,
      offsets,
      lengths,
      Buffer.concat(messages.flatMap((m) => m.partZero)),
      recipients.map((r) => r.m),
      recipients.map((r) => r.n),
      recipients.map((r) => r.address),
      recipients.map((r) => r.originalRecipient),
      recipients.map((r) => r.notify),
      holder.owner,
      holder.leaseMs / 1000,
      holder.lifetimeMs / 1000,
    ],
  };
}
