/**
 * From findings to the result that is written: states, the next attempt, and who must be told (RFC 3461 5.2). Pure.
 *
 * Invariant: every finding becomes one recipient of the result, save the untried; a deferral at or after the expiry is final.
 */
import type { Attempt, Result, Task } from "../spool/message.ts";
import { nextAttemptAt } from "./backoff.ts";
import type { DsnRecipient } from "./dsn.ts";
import type { Verdict } from "./outcome.ts";
import type { Finding, Held } from "./parcel.ts";

export type Circumstances = Readonly<{
  now: Date;
  scheduleMs: readonly number[];
  /** In [0, 1). */
  jitter: number;
}>;

export type Conclusion = Readonly<{
  result: Omit<Result, "dsn">;
  /** Whom a report to the sender must name; empty: no report. */
  report: readonly DsnRecipient[];
}>;

/** Undefined: nothing was tried. */
export function conclude(held: Held, { now, scheduleMs, jitter }: Circumstances): Conclusion | undefined {
  const { task, findings, delayMs, route } = held;
  const tried = findings.filter(({ verdict }) => verdict.kind !== "untried");
  if (tried.length === 0) return undefined;
  const next = nextAttemptAt({ attempt: task.attempt, scheduleMs, now, expiresAt: task.expiresAt, jitter });
  const recipients = tried.map((finding) => recipientResult(finding, route, now, next === null));
  const deferred = recipients.some(({ state }) => state === "deferred");
  const untried = tried.length < findings.length;
  const dueAt = deferred ? next : untried ? new Date(now.getTime() + delayMs) : null;
  const indeterminate = tried.some(({ verdict }) => verdict.indeterminate);
  return {
    result: { task, recipients, dueAt, route: indeterminate ? route : null },
    report: tried.flatMap((finding, i) => reportOn(task, finding, recipients[i]?.attempt as Attempt)),
  };
}

function recipientResult({ recipient, verdict, remote }: Finding, route: string, now: Date, expired: boolean) {
  const { code, enhanced, text, indeterminate } = verdict;
  const final = verdict.kind === "deferred" && expired;
  const state = final ? ("bounced" as const) : stateOf(verdict);
  const outcome = final ? ("expired" as const) : state;
  const at = now.toISOString();
  const attempt: Attempt = {
    at,
    outcome,
    route,
    remote,
    code,
    enhanced,
    reply: text,
    ...(indeterminate && { indeterminate }),
  };
  return { n: recipient.n, state, attempt };
}

function stateOf({ kind }: Verdict): "delivered" | "deferred" | "bounced" {
  return kind === "delivered" || kind === "bounced" ? kind : "deferred";
}

/** Reports go to the sender of mail that is no report itself, as each recipient's NOTIFY asks. Without one: on failure. */
function reportOn(task: Task, { recipient, remote, dsn }: Finding, attempt: Attempt): DsnRecipient[] {
  if (task.sender === "" || task.kind === "dsn") return [];
  const asked = recipient.notify === null ? ["FAILURE"] : recipient.notify.toUpperCase().split(",");
  const failed = attempt.outcome === "bounced" || attempt.outcome === "expired";
  const relayed = attempt.outcome === "delivered" && !dsn;
  if (!(failed && asked.includes("FAILURE")) && !(relayed && asked.includes("SUCCESS"))) return [];
  const { address, originalRecipient } = recipient;
  const { outcome, code, enhanced, reply } = attempt;
  return [
    {
      address,
      originalRecipient,
      action: failed ? "failed" : "relayed",
      status: outcome === "expired" ? "4.4.7" : (enhanced ?? statusOf(code)),
      remote,
      diagnostic: code === null ? null : `${code}${enhanced === null ? "" : ` ${enhanced}`} ${reply}`,
      reason: outcome === "expired" ? `Given up after many attempts; the last one ended with: ${reply}` : reply,
    },
  ];
}

function statusOf(code: number | null): string {
  return `${code === null ? 5 : Math.floor(code / 100)}.0.0`;
}
