/**
 * Sorts out, before a parcel is sent, what the peer at hand can't take (delivery/fitness). Content is looked at only when
 * the peer lacks something that the message declares, and once.
 */
import type { Peer, TaskRecipient } from "./envelope.ts";
import { lookAt, needsLook, unfit } from "./fitness.ts";
import { decideFailure, type Verdict } from "./outcome.ts";
import type { Parcel } from "./parcel.ts";

export type VettingOptions = Readonly<{
  read(parcel: Parcel): AsyncIterable<Uint8Array>;
  finished(parcel: Parcel, recipients: readonly TaskRecipient[], verdicts: readonly Verdict[], peer: Peer | null): void;
  /** To be sent, before the others of its subaccount. */
  again(parcel: Parcel): void;
}>;

/** Whether the parcel may be sent as it is. False: it has been seen to. */
export type Vetting = (parcel: Parcel, peer: Peer) => boolean;

export function createVetting({ read, finished, again }: VettingOptions): Vetting {
  async function look(parcel: Parcel, peer: Peer): Promise<void> {
    try {
      parcel.content = await lookAt(parcel.held.task.bytes ?? read(parcel));
      again(parcel);
    } catch {
      const verdict = decideFailure({ why: "source", text: "The message could not be read", reply: null });
      const verdicts = parcel.recipients.map(() => verdict);
      finished(parcel, parcel.recipients, verdicts, peer);
    }
  }

  return (parcel, peer) => {
    const { held, recipients, content } = parcel;
    if (!needsLook(held.task, recipients, peer)) return true;
    if (content === null) {
      void look(parcel, peer);
      return false;
    }
    const verdicts = unfit(held.task, recipients, peer, content);
    const refusals = verdicts.filter((verdict) => verdict !== null);
    if (refusals.length === 0) return true;
    const rest = recipients.filter((_, i) => verdicts[i] === null);
    if (rest.length > 0) again({ ...parcel, recipients: rest });
    finished(
      parcel,
      recipients.filter((_, i) => verdicts[i] !== null),
      refusals,
      peer,
    );
    return false;
  };
}
