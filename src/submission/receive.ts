/**
 * DATA: from 354 to the answer after the final dot.
 *
 * Invariant: 250 is said only when the message is stored and charged; a refused or failed one leaves no reservation and
 * no part behind; nobody is told "refused" when the fault is ours.
 * On failure: 451 while nothing is stored; no answer at all when nobody can say whether it is.
 */

import type { Readable } from "node:stream";
import { domainOf } from "../mail/address.ts";
import { messageDate } from "../mail/date.ts";
import type { Head } from "../mail/head.ts";
import type { Reply } from "../mail/reply.ts";
import { receivedField } from "../mail/trace.ts";
import { periodAt } from "../metering/period.ts";
import type { Clock } from "../platform/clock.ts";
import { formatId, type MessageId, newId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Metrics } from "../platform/metrics.ts";
import { type Charge, type Gate, RESERVED } from "../quota/gate.ts";
import type { InDoubt } from "../spool/in-doubt.ts";
import type { Acceptance, Doubtful, Submission } from "../spool/message.ts";
import type { Stage } from "../spool/stage.ts";
import { type Content, type ContentFault, createContent, type Received } from "./content.ts";
import type { Memory, Share } from "./memory.ts";
import * as replies from "./replies.ts";
import {
  chargeOf,
  type PermissionDeps,
  permitted,
  type Refusal,
  refusedBy,
  type Session,
  type Transaction,
} from "./session.ts";
import type { Slabs } from "./slabs.ts";
import { tenant } from "./tenant.ts";

export type ReceiveDeps = PermissionDeps &
  Readonly<{
    hostname: string;
    maxMessageBytes: number;
    createStage: (id: MessageId) => Stage;
    memory: Pick<Memory, "open">;
    slabs: Slabs;
    gate: Pick<Gate, "reserve" | "release" | "rateReached">;
    accept: (submission: Submission) => Promise<Acceptance>;
    inDoubt: Pick<InDoubt, "recognise">;
    clock: Clock;
    log: Log;
    metrics: Pick<Metrics, "accepted" | "acceptedUnits" | "acceptedBytes">;
  }>;

export type Answer =
  /** `repeated`: it was stored before, as what this one repeats. */
  | Readonly<{ kind: "accepted"; reply: Reply; doubtful: Doubtful; repeated?: true }>
  | Readonly<{ kind: "refused"; refusal: Refusal }>
  /** The connection is to be destroyed without a word, so that the client keeps the message. */
  | Readonly<{ kind: "silence"; doubtful: Doubtful }>
  /** The client left before the end. */
  | Readonly<{ kind: "gone" }>;

export type Client = Readonly<{
  /** The final dot is there: from then on the client waits for us. */
  received(): void;
  /** It holds memory that others wait for: its connection is to be closed. */
  tooSlow(): void;
}>;

export async function receive(
  stream: Readable,
  session: Session,
  transaction: Transaction,
  deps: ReceiveDeps,
  client: Client,
): Promise<Answer> {
  const id = newId<MessageId>(deps.clock);
  const name = formatId("msg", id);
  const content = createContent({
    maxBytes: deps.maxMessageBytes,
    openStage: () => deps.createStage(id),
    slabs: deps.slabs,
    compose: (head) => addedFields(head, name, session, transaction, deps),
  });
  const share = deps.memory.open(transaction.account.subaccountId, client.tooSlow);
  let kept = false; // what was written ahead may belong to a stored message
  const accept = (submission: Submission) => {
    kept = true;
    return deps.accept(submission);
  };
  try {
    if (!(await collect(stream, content, share))) return { kind: "gone" };
    client.received();
    const answer = await decide({ id, name }, await content.end(), transaction, { ...deps, accept });
    kept = (answer.kind === "accepted" && !answer.repeated) || answer.kind === "silence";
    return answer;
  } finally {
    if (!kept) await discard(content, deps.log);
    share.close();
  }
}

/** Takes a chunk only when there is room for it and complete parts are written. False when the client left before the end. */
function collect(stream: Readable, content: Content, share: Share): Promise<boolean> {
  return new Promise((resolve) => {
    let ready = Promise.resolve(); // a part under way must be there before it can be discarded
    const gone = () => {
      share.close();
      void ready.then(() => resolve(false));
    };
    const makeReady = async (full: boolean) => {
      share.pause();
      if (full) await content.flush();
      else await share.room();
      share.hold(content.heldBytes, 0);
      share.resume();
    };
    stream.on("data", (chunk: Buffer) => {
      const full = content.push(chunk);
      if (share.hold(content.heldBytes, chunk.length) && !full) return;
      stream.pause();
      ready = makeReady(full);
      void ready.then(() => stream.resume());
    });
    stream.on("end", () => {
      stream.off("close", gone); // the message is still here
      share.pause();
      resolve(true);
    });
    stream.on("error", gone);
    stream.on("close", gone);
  });
}

/** What goes on top: our Received, then what the header lacks. */
function addedFields(
  head: Head,
  name: string,
  session: Session,
  { sender, servedAs, parameters }: Transaction,
  deps: ReceiveDeps,
): Buffer | Reply {
  const { clock } = deps;
  const hostname = servedAs ?? deps.hostname;
  const at = clock.now();
  let text = receivedField({
    greetedAs: session.greetedAs,
    clientAddress: session.clientAddress,
    hostname,
    id: name,
    at,
    tls: session.tls,
    authenticated: true,
    smtpUtf8: parameters.smtpUtf8,
  });
  if (head.from.length === 0) {
    if (sender === "") return replies.noFrom;
    text += `From: ${sender}\r\n`;
  }
  if (!head.hasDate) text += `Date: ${messageDate(at)}\r\n`;
  if (head.messageId === null) text += `Message-ID: <${name}@${hostname}>\r\n`;
  return Buffer.from(text);
}

/** A message's id, as it is stored and as it is shown. */
type Named = Readonly<{ id: MessageId; name: string }>;

async function decide(
  { id, name }: Named,
  received: Received | ContentFault,
  begun: Transaction,
  deps: ReceiveDeps,
): Promise<Answer> {
  if ("about" in received) return refusal(faultRefusal(received));
  const account = await permitted(begun.account.principal, begun.sender, deps);
  if ("reply" in account) return refusal(account);
  const transaction = { ...begun, account };
  if (!(await claimsAllowed(received.head, transaction, deps))) {
    return refusal({ reply: replies.senderNotVerified, reason: "sender" });
  }
  const { subaccountId } = account;
  const units = begun.recipients.size;
  const charge: Charge = chargeOf(account, periodAt(account.calendar, deps.clock.now()), units);
  const submission = submissionOf(id, received, transaction, charge);
  const { addedBytes } = received;
  // Before the gate: a limit that is full with the message itself must not refuse its retry.
  const first = await deps.inDoubt.recognise(submission, addedBytes);
  if (first !== undefined) return repeats(first, charge, deps);
  // The gate knows live counters only: sandbox mail is decided at the door alone.
  const reservation = account.sandbox ? RESERVED : await deps.gate.reserve(charge);
  const barred = refusedBy(reservation, units, account.supportAddress);
  if (barred !== undefined) return refusal(barred);
  const acceptance = await deps.accept(submission);
  const doubtful = { id, subaccountId, sizeBytes: received.sizeBytes - addedBytes, addedBytes };
  if (acceptance.kind === "accepted") return acceptedAs(name, doubtful, received, charge, deps);
  if (acceptance.kind === "unknown") {
    deps.log.error({ event: "message.unknown", message_id: name, ...tenant(account), units });
    return { kind: "silence", doubtful };
  }
  if (!account.sandbox) await release(charge, deps);
  if (acceptance.kind === "failed") return refusal({ reply: replies.temporaryFailure });
  const told = acceptance.kind === "rate" ? await deps.gate.rateReached(charge) : acceptance;
  return refusal(refusedBy(told, units, account.supportAddress) ?? { reply: replies.temporaryFailure });
}

function faultRefusal({ about, reply }: ContentFault): Refusal {
  return about === "stage" ? { reply } : { reply, reason: about };
}

/** Every domain that From and Sender claim. That of the envelope is checked already. */
async function claimsAllowed(head: Head, { account, sender }: Transaction, deps: ReceiveDeps): Promise<boolean> {
  if (head.sender.length === 0 && head.from.length === 1 && head.from[0] === sender) return true;
  const checked = new Set([sender === "" ? "" : domainOf(sender)]);
  for (const address of [...head.from, ...head.sender]) {
    const domain = domainOf(address);
    if (checked.has(domain)) continue;
    checked.add(domain);
    if (!(await deps.senderAllowed(account, domain))) return false;
  }
  return true;
}

function submissionOf(id: MessageId, received: Received, transaction: Transaction, charge: Charge): Submission {
  const { head, partZero, bodyParts, sizeBytes } = received;
  const { account, sender, parameters, recipients } = transaction;
  return {
    id,
    masterId: account.masterId,
    subaccountId: account.subaccountId,
    credentialId: account.credentialId,
    ...(account.sandbox ? { sandbox: true as const } : {}),
    calendar: account.calendar,
    period: charge.period,
    sender,
    recipients: [...recipients.values()],
    units: charge.units,
    sizeBytes,
    partZero,
    bodyParts,
    headerFrom: head.from[0] ?? (sender || null),
    headerMessageId: head.messageId,
    subject: head.subject,
    envelopeId: parameters.envelopeId,
    ret: parameters.ret,
    eightBit: parameters.eightBit || received.eightBit,
    smtpUtf8: parameters.smtpUtf8,
  };
}

/** Of a message whose 250 the client can't have read. */
function repeats(first: Doubtful, charge: Charge, { log }: ReceiveDeps): Answer {
  const name = formatId("msg", first.id);
  log.info({ event: "message.repeated", message_id: name, ...tenant(charge), units: charge.units });
  return { kind: "accepted", reply: replies.accepted(name), doubtful: first, repeated: true };
}

function acceptedAs(
  name: string,
  doubtful: Doubtful,
  { sizeBytes }: Received,
  charge: Charge,
  deps: ReceiveDeps,
): Answer {
  const { units } = charge;
  deps.metrics.accepted.inc();
  deps.metrics.acceptedUnits.inc(units);
  deps.metrics.acceptedBytes.inc(sizeBytes);
  deps.log.info({
    event: "message.accepted",
    message_id: name,
    ...tenant(charge),
    units,
    bytes: sizeBytes,
  });
  return { kind: "accepted", reply: replies.accepted(name), doubtful };
}

/** A reservation that is not given back leaves the gate too high for a while: harmless, so it fails no message. */
async function release(charge: Charge, { gate, log }: ReceiveDeps): Promise<void> {
  try {
    await gate.release(charge);
  } catch (error) {
    log.warn({ event: "gate.release_failed", err: error }, "a reservation was not given back");
  }
}

async function discard(content: Content, log: Log): Promise<void> {
  try {
    await content.discard();
  } catch (error) {
    log.warn({ event: "stage.discard_failed", err: error }, "parts written ahead are left to the purge");
  }
}

function refusal(refused: Refusal): Answer {
  return { kind: "refused", refusal: refused };
}
