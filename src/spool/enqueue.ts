/** Puts mail of our own (DSNs, alerts, invitations) into the spool: the same queue and delivery, no units, no ledger. */
import type { ClientBase } from "pg";
import { type Outgoing, SANDBOX_ROUTE } from "./message.ts";

const ENQUEUE = `
with m as (
  insert into message (id, subaccount_id, master_id, kind, sender, units, size_bytes, body_parts, eight_bit, smtp_utf8, accepted_at, sandbox)
  values ($1, $2, $3, $4, $5, 0, octet_length($7::bytea), 1, true, $8, pm_now(), case when $10::text is not null then true end)
), b as (
  insert into body (message_id, part, bytes) values ($1, 0, $7)
), r as (
  insert into recipient (message_id, n, address) select $1, n - 1, address from unnest($6::text[]) with ordinality a (address, n)
)
insert into queue (message_id, subaccount_id, due_at, expires_at, route)
values ($1, $2, pm_now(), pm_now() + make_interval(secs => $9::float8), $10)`;

/** In the caller's transaction, so that a report and its cause commit together. */
export async function enqueue(client: Pick<ClientBase, "query">, mail: Outgoing, lifetimeMs: number): Promise<void> {
  await client.query(ENQUEUE, [
    mail.id,
    mail.subaccountId,
    mail.masterId,
    mail.kind,
    mail.sender,
    mail.recipients,
    mail.bytes,
    mail.smtpUtf8,
    lifetimeMs / 1000,
    mail.sandbox ? SANDBOX_ROUTE : null,
  ]);
}
