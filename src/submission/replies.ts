/** Every answer of our own (contract.md). Those of smtp-server get their enhanced codes in connection.ts. */
import { isoSecond } from "../mail/date.ts";
import { type Reply, replyText } from "../mail/reply.ts";

const make = (code: number, detail: Reply["detail"], text: string): Reply => ({ code, detail, text });

export const temporaryFailure = make(451, "3.0", "Temporary failure, try again later");
export const authenticationFailed = make(535, "7.8", "Authentication failed");
export const authenticationRequired = make(530, "7.0", "Authentication required");
export const tlsRequired = make(530, "7.0", "Must issue a STARTTLS command first");
export const senderNotVerified = make(550, "7.1", "Sender domain not verified for this account");
export const badSender = make(501, "1.7", "Bad sender address syntax");
export const badRecipient = make(501, "1.3", "Bad recipient address syntax");
export const utf8Needed = make(553, "6.7", "The address needs SMTPUTF8");
export const nulInMessage = make(550, "6.0", "The message contains a NUL byte; binary content must be encoded");
export const headerTooLong = make(552, "3.4", "The header of the message is too long");
export const needMail = make(503, "5.1", "Need MAIL command first");
export const noFrom = make(550, "6.0", "No From header");

export const lockedOut = make(421, "7.0", "Too many failed attempts, try again later");
export const shuttingDown = make(421, "3.2", "Service shutting down, try again later");
export const timeout = make(421, "4.2", "Timeout, closing connection");
export const tooSlow = make(421, "4.2", "Too slow while others wait, closing connection");
export const tooManyErrors = make(421, "7.0", "Too many errors, closing connection");
export const tooManyCommands = make(421, "7.0", "Too many commands without a message, closing connection");
export const tooManyConnections = make(421, "7.0", "Too many connections from your address");

/** `name`: the message's id as it is shown. */
export function accepted(name: string): Reply {
  return make(250, "0.0", `Accepted as ${name}`);
}

export function messageTooLarge(maxBytes: number): Reply {
  return make(552, "3.4", `Message is larger than ${maxBytes} bytes`);
}

export function tooManyRecipients(max: number): Reply {
  return make(452, "5.3", `Too many recipients, at most ${max} per message`);
}

/** `supportAddress`: of the account's brand, where it has one. */
export type Inactive = Readonly<{ state: string; publicMessage: string | null; supportAddress?: string }>;

/** At AUTH. */
export function accountInactive(account: Inactive): Reply {
  return make(525, "7.13", stateText(account));
}

/** In an open session. */
export function accountMayNotSend(account: Inactive): Reply {
  return make(550, "7.1", stateText(account));
}

/** With what its master has written for this case, and who helps. */
function stateText({ state, publicMessage, supportAddress }: Inactive): string {
  return `Account is ${state}${publicMessage ? `: ${oneLine(publicMessage)}` : ""}${contact(supportAddress)}`;
}

/** Behind what programs read. An address of this length keeps every line below its 512 octets (RFC 5321 4.5.3.1.5). */
function contact(supportAddress: string | undefined): string {
  const told = supportAddress !== undefined && supportAddress.length <= MAX_CONTACT;
  return told ? `; contact ${supportAddress}` : "";
}

const MAX_CONTACT = 100;

export const accountClosed = make(550, "7.1", "Account may not send");
export const credentialRevoked = make(550, "7.1", "These credentials have been revoked");

export type Over = Readonly<{
  account: "subaccount" | "master";
  used: number;
  cap: number;
  resetsAt: Date;
  reserved?: true;
}>;

/** `units`: what the message needs; 0 at MAIL, when nobody knows it yet. A subaccount never sees its master's numbers. */
export function overLimit(
  { account, used, cap, resetsAt, reserved }: Over,
  units: number,
  supportAddress?: string,
): Reply {
  const resets = isoSecond(resetsAt);
  const left = Math.max(0, cap - used);
  const full = left === 0 || units === 0;
  if (account === "master") {
    const text = full
      ? `Sending is paused for this account until ${resets}`
      : `${units} recipients are more than this account may send now`;
    return make(550, "4.5", `${text} [QUOTA-MASTER]${contact(supportAddress)}`);
  }
  if (reserved) {
    const why = `${used} of ${cap} used, the rest is reserved for transactional mail`;
    const text = units > 1 ? `${units} recipients are more than is left` : "Monthly limit reached";
    return make(550, "4.5", `${text}: ${why}, resets ${resets} [QUOTA-SUBACCOUNT]`);
  }
  const text = full
    ? `Monthly limit reached: ${used} of ${cap} used, resets ${resets}`
    : `${units} recipients, but only ${left} of ${cap} left until ${resets}`;
  return make(550, "4.5", `${text} [QUOTA-SUBACCOUNT]`);
}

/** `seconds`: null where no time helps, since the message alone has more recipients than a limit allows. */
export function rateReached(seconds: number | null, units: number): Reply {
  if (seconds !== null) return make(451, "7.1", `Rate limit reached, retry in ${seconds} seconds`);
  return make(550, "7.1", `${Math.max(units, 1)} recipients are more than the rate limit of this account allows`);
}

/** The form in which smtp-server takes a refusal. */
export function asError(reply: Reply): Error & { responseCode: number } {
  return { name: "Refusal", message: replyText(reply), responseCode: reply.code };
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ").slice(0, 300);
}
