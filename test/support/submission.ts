/** A message as the door for clients would hand it over, and an acceptor over a test database. */
import { type Calendar, periodAt } from "../../src/metering/period.ts";
import { createClock } from "../../src/platform/clock.ts";
import { type Database, freshClient } from "../../src/platform/database.ts";
import { type MasterId, type MessageId, newId, type SubaccountId } from "../../src/platform/ids.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { type Acceptor, type AcceptorDeps, createAcceptor } from "../../src/spool/accept.ts";
import type { Submission, Task } from "../../src/spool/message.ts";
import { silentLog } from "./log.ts";

export const utcMonths: Calendar = { anchorDay: 1, timeZone: "UTC" };

type Account = Readonly<{ masterId: MasterId; subaccountId: SubaccountId }>;
type Told = Partial<Omit<Submission, "recipients" | "units">> & { recipients?: readonly string[]; text?: string };

export function submissionOf(account: Account, told: Told = {}): Submission {
  const { recipients = ["reader@example.net"], text = "Subject: Hello\r\n\r\nHello.\r\n", ...rest } = told;
  const clock = createClock();
  const bytes = Buffer.from(text, "latin1");
  return {
    id: newId<MessageId>(clock),
    ...account,
    credentialId: null,
    calendar: utcMonths,
    period: periodAt(utcMonths, clock.now()),
    sender: "app@customer.example",
    recipients: recipients.map((address) => ({ address, originalRecipient: null, notify: null })),
    units: recipients.length,
    sizeBytes: bytes.length,
    partZero: [bytes],
    bodyParts: 1,
    headerFrom: "app@customer.example",
    headerMessageId: "<1@customer.example>",
    subject: "Hello",
    envelopeId: null,
    ret: null,
    eightBit: false,
    smtpUtf8: false,
    ...rest,
  };
}

export type TestAcceptor = Acceptor & { fresh: Task[]; owner: number };

/** Without room in memory unless told: what it accepts is due at once for a claim. */
export function testAcceptor(database: Database, told: Partial<AcceptorDeps> & { room?: boolean } = {}): TestAcceptor {
  const { room = false, owner = 1, ...rest } = told;
  const fresh: Task[] = [];
  const acceptor = createAcceptor({
    pool: database.pool,
    owner,
    handoff: { offer: () => room, push: (task) => fresh.push(task), withdraw: () => {} },
    publish: () => {},
    connect: () => freshClient(database),
    metrics: createMetrics(),
    log: silentLog,
    lifetimeMs: 5 * 86_400_000,
    ...rest,
  });
  return { ...acceptor, fresh, owner };
}

/** What the ledger and the counters say of an account; equal wherever promise P3 holds. */
export async function billOf({ pool }: Database, account: Account) {
  const { rows } = await pool.query<Record<"ledger" | "subaccount" | "master" | "messages" | "stored", string>>(
    `select (select coalesce(sum(units), 0) from usage_entry where subaccount_id = $1 and kind = 'accept') as ledger,
            (select coalesce(sum(used), 0) from usage where account_id = $1) as subaccount,
            (select coalesce(sum(used), 0) from usage where account_id = $2) as master,
            (select count(*) from usage_entry where subaccount_id = $1 and kind = 'accept') as messages,
            (select count(*) from message m join body b on b.message_id = m.id and b.part = 0 where subaccount_id = $1) as stored`,
    [account.subaccountId, account.masterId],
  );
  const row = rows[0] ?? { ledger: 0, subaccount: 0, master: 0, messages: 0, stored: 0 };
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)])) as Record<
    keyof typeof row,
    number
  >;
}
