/** What of a parcel goes into one transaction, and what is left of it afterwards. */
import type { Connection, Job } from "./conversation.ts";
import type { TaskRecipient } from "./envelope.ts";
import type { Exchange, Verdict } from "./outcome.ts";
import type { Parcel } from "./parcel.ts";

type Finished = (sent: readonly TaskRecipient[], exchange: Exchange, connection: Connection) => void;

/** @param most recipients of one transaction */
export function makeJob(parcel: Parcel, most: number, read: Job["read"], finished: Finished): Job {
  const all = parcel.recipients;
  const recipients = all.length <= most ? all : all.slice(0, most);
  const exchange: Exchange = {
    mail: null,
    rcpt: recipients.map(() => null),
    data: null,
    end: null,
    dotSent: false,
    failure: null,
  };
  const done = (connection: Connection): void => finished(recipients, exchange, connection);
  return { task: parcel.held.task, recipients, exchange, read, finished: done };
}

/** The connection was gone, or going, before it heard of this message. */
export function isStale({ mail, failure }: Exchange): boolean {
  if (mail === null) return failure !== null && failure.why !== "aborted" && failure.why !== "timeout";
  return mail.startsWith("421");
}

/** Recipients for another transaction: those that did not fit into this one. */
export function leftOver(
  { recipients }: Parcel,
  sent: readonly TaskRecipient[],
  verdicts: readonly Verdict[],
): readonly TaskRecipient[] {
  if (sent.length === recipients.length && !verdicts.some(isForAnother)) return [];
  return [...sent.filter((_, i) => isForAnother(verdicts[i])), ...recipients.slice(sent.length)];
}

export function isForAnother(verdict: Verdict | undefined): boolean {
  return verdict?.kind === "another";
}
