/** A task in this process's hands, and the parts of it that go to one peer each. */
import type { SubaccountId } from "../platform/ids.ts";
import type { Task } from "../spool/message.ts";
import type { TaskRecipient } from "./envelope.ts";
import type { Content } from "./fitness.ts";
import type { Verdict } from "./outcome.ts";

/** What came of one recipient. */
export type Finding = Readonly<{
  recipient: TaskRecipient;
  verdict: Verdict;
  /** The host that answered. */
  remote: string | null;
  /** Whether that host takes over the duty of reporting (RFC 3461). */
  dsn: boolean;
}>;

export type Held = {
  readonly task: Task;
  /** Handed over by the door, else claimed. */
  readonly fresh: boolean;
  /** The name of the route it takes. */
  readonly route: string;
  /** By performance.now(). */
  leasedUntilMs: number;
  /** `lost`: the lease is gone and someone else may have it. */
  state: "waiting" | "begun" | "lost";
  begunAtMs: number;
  /** Recipients without a finding. */
  open: number;
  readonly findings: Finding[];
  /** Untried recipients are due again after this. */
  delayMs: number;
};

export type Parcel = {
  readonly held: Held;
  readonly recipients: readonly TaskRecipient[];
  /** It met a kept connection that had been closed meanwhile; a second time counts. */
  readonly stale: boolean;
  /** What its bytes need of a peer, once looked at. */
  content: Content | null;
};

export type Kind = "fresh" | "claimed";

export function kindOf(parcel: Parcel): Kind {
  return parcel.held.fresh ? "fresh" : "claimed";
}

export function ownerOf(parcel: Parcel): SubaccountId {
  return parcel.held.task.subaccountId;
}
