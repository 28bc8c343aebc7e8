/**
 * MAIL and RCPT: what may be sent, by whom, to whom. Knows nothing of sockets and of smtp-server.
 *
 * Invariant: no transaction begins without TLS (or loopback, where allowed), AUTH, an account that may send, a sender
 * that it may use, and something left of its limit.
 */
import type { Authenticator, SendingAccount } from "../accounts/authenticate.ts";
import type { SubaccountPrincipal } from "../accounts/principal.ts";
import type { BrandHosts } from "../branding/hosts.ts";
import { domainOf, needsUtf8, parseAddress, recipientKey } from "../mail/address.ts";
import { type MailParameters, type Parameters, readMailParameters, readRcptParameters } from "../mail/envelope.ts";
import type { Reply } from "../mail/reply.ts";
import { type Period, periodAt } from "../metering/period.ts";
import type { RefusalReason } from "../metering/refusals.ts";
import type { Clock } from "../platform/clock.ts";
import type { Charge, Gate, Reservation } from "../quota/gate.ts";
import type { InDoubt } from "../spool/in-doubt.ts";
import type { Recipient } from "../spool/message.ts";
import * as replies from "./replies.ts";

/** One connection of a client. */
export interface Session {
  readonly clientAddress: string;
  readonly greetedAs: string;
  /** The host of a brand that the client asked for in its handshake, and that we answer as; undefined: our own name. */
  readonly servedAs: string | undefined;
  readonly tls: boolean;
  /** AUTH is allowed on it: TLS is on, or cleartext is allowed from this machine. */
  readonly mayAuthenticate: boolean;
  account: SendingAccount | undefined;
  authFailures: number;
  transaction: Transaction | undefined;
}

/** From MAIL to the end of DATA. */
export type Transaction = {
  /** One recipient too many was put off already: that is one refusal, however many follow. */
  overflowed: boolean;
} & Readonly<{
  account: SendingAccount;
  sender: string; // "" for <>
  /** What the trace calls this server, where that is not its own name. */
  servedAs: string | undefined;
  parameters: MailParameters;
  recipients: Map<string, Recipient>; // by recipientKey
}>;

export type PermissionDeps = Readonly<{
  /** The account as it is now; from memory. */
  sending: Authenticator["sending"];
  senderAllowed: (account: SendingAccount, domain: string) => boolean | Promise<boolean>;
}>;

export type SessionDeps = PermissionDeps &
  Readonly<{
    gate: Pick<Gate, "reserve">;
    inDoubt: Pick<InDoubt, "any">;
    brands?: Pick<BrandHosts, "find">;
    clock: Clock;
    maxRecipients: number;
  }>;

/** `reason` is set where the refusal is to be counted and shown to the account. */
export type Refusal = Readonly<{ reply: Reply; reason?: RefusalReason }>;

/** A command's address and parameters as they were given. */
export type Path = Readonly<{ address: string; parameters: Parameters }>;

/** Begins the session's transaction, or says why not. */
export async function mail(session: Session, path: Path, deps: SessionDeps): Promise<Refusal | undefined> {
  const barred = readiness(session);
  if (barred !== undefined) return { reply: barred };
  const sender = path.address === "" ? "" : parseAddress(path.address);
  if (sender === undefined) return { reply: replies.badSender };
  const read = readMailParameters(path.parameters);
  if (read.kind === "refused") return { reply: read.reply };
  if (needsUtf8(sender) && !read.value.smtpUtf8) return { reply: replies.utf8Needed };
  const account = await permitted((session.account as SendingAccount).principal, sender, deps);
  if ("reply" in account) return account;
  session.account = account;
  const refusal = await somethingLeft(account, periodAt(account.calendar, deps.clock.now()), deps);
  if (refusal !== undefined) return refusal;
  const servedAs = session.servedAs === undefined ? undefined : await traceName(session.servedAs, account, deps);
  session.transaction = { overflowed: false, account, sender, servedAs, parameters: read.value, recipients: new Map() };
  return undefined;
}

/** The brand's host stands in messages of its own accounts alone, and only while it is proven. */
async function traceName(
  name: string,
  { masterId, subaccountId }: SendingAccount,
  { brands }: Pick<SessionDeps, "brands">,
): Promise<string | undefined> {
  const host = await brands?.find(name);
  if (host?.masterId !== masterId) return undefined;
  return host.subaccountId === null || host.subaccountId === subaccountId ? host.host : undefined;
}

/**
 * The account as it is now, when it may send as this envelope sender. Asked at MAIL, and again when the message is there:
 * a client may take half an hour for it. From memory; no statement while nothing has changed.
 */
export async function permitted(
  principal: SubaccountPrincipal,
  sender: string,
  { sending, senderAllowed }: PermissionDeps,
): Promise<SendingAccount | Refusal> {
  const account = await sending(principal);
  if (account.kind === "inactive") return { reply: replies.accountMayNotSend(account), reason: "account" };
  if (account.kind === "revoked") return { reply: replies.credentialRevoked, reason: "account" };
  if (sender !== "" && !(await senderAllowed(account, domainOf(sender)))) {
    return { reply: replies.senderNotVerified, reason: "sender" };
  }
  return account;
}

/** Why a session can't send at all yet. */
export function readiness(session: Session): Reply | undefined {
  if (!session.mayAuthenticate) return replies.tlsRequired;
  return session.account === undefined ? replies.authenticationRequired : undefined;
}

async function somethingLeft(
  account: SendingAccount,
  period: Period,
  deps: Pick<SessionDeps, "gate" | "inDoubt">,
): Promise<Refusal | undefined> {
  if (account.sandbox) return undefined;
  const reservation = await deps.gate.reserve(chargeOf(account, period, 0));
  // It may be about to repeat a message that its limit is full with. Any other is refused at the end of data.
  const full = reservation.kind === "over" || reservation.kind === "rate";
  if (full && deps.inDoubt.any(account.subaccountId)) return undefined;
  return refusedBy(reservation, 0, account.supportAddress);
}

export function chargeOf(account: SendingAccount, period: Period, units: number): Charge {
  const { masterId, subaccountId, credentialId, guard } = account;
  const charge = { masterId, subaccountId, period, units };
  return guard === undefined ? charge : { ...charge, credentialId, guard };
}

/** What gate or door say of a message of so many units; 0 at MAIL. */
export function refusedBy(said: Reservation, units: number, supportAddress: string | undefined): Refusal | undefined {
  if (said.kind === "closed") return { reply: replies.accountClosed, reason: "account" };
  if (said.kind === "over") {
    return { reply: replies.overLimit(said, units, supportAddress), reason: `quota-${said.account}` };
  }
  if (said.kind === "rate") return { reply: replies.rateReached(said.retryAfterSeconds, units), reason: "rate" };
  return undefined;
}

/** Adds a recipient to the transaction. One that is there already counts once; its parameters are replaced. */
export function rcpt(session: Session, path: Path, deps: Pick<SessionDeps, "maxRecipients">): Refusal | undefined {
  const { transaction } = session;
  if (transaction === undefined) return { reply: readiness(session) ?? replies.needMail };
  const address = parseAddress(path.address);
  if (address === undefined) return { reply: replies.badRecipient };
  const read = readRcptParameters(path.parameters);
  if (read.kind === "refused") return { reply: read.reply };
  if (needsUtf8(address) && !transaction.parameters.smtpUtf8) return { reply: replies.utf8Needed };
  const { recipients } = transaction;
  const key = recipientKey(address);
  if (recipients.size >= deps.maxRecipients && !recipients.has(key)) {
    const reply = replies.tooManyRecipients(deps.maxRecipients);
    if (transaction.overflowed) return { reply };
    transaction.overflowed = true;
    return { reply, reason: "recipients" };
  }
  recipients.set(key, { address, ...read.value });
  return undefined;
}
