/**
 * From findings to the result that is written: states, the next attempt, and who must be told (RFC 3461 5.2). Pure.
 *
 * Invariant: every finding becomes one recipient of the result, save the untried; a deferral at or after the expiry is final.
 */
import { isoInstant } from "../platform/instant.ts";
import { type Attempt, type Result, SANDBOX_ROUTE, type Task } from "../spool/message.ts";
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
  const next = nextAttemptAt({ attempt: task.attempt, scheduleMs, now, expiresAt: task.expiresAt, jitter });
  const at = isoInstant(now.getTime());
  const recipients: RecipientResult[] = [];
  const report: DsnRecipient[] = [];
  let deferred = false;
  let indeterminate = false;
  for (const finding of findings) {
    if (finding.verdict.kind === "untried") continue;
    const result = recipientResult(finding, route, at, next === null);
    recipients.push(result);
    if (result.state === "deferred") deferred = true;
    if (finding.verdict.indeterminate) indeterminate = true;
    const told = reportOn(task, finding, result.attempt);
    if (told !== undefined) report.push(told);
  }
  if (recipients.length === 0) return undefined;
  const untried = recipients.length < findings.length;
  const dueAt = deferred ? next : untried ? new Date(now.getTime() + delayMs) : null;
  return {
    result: { task, recipients, dueAt, route: indeterminate || route === SANDBOX_ROUTE ? route : null },
    report,
  };
}

type RecipientResult = Result["recipients"][number];

function recipientResult(finding: Finding, route: string, at: string, expired: boolean): RecipientResult {
  const { recipient, verdict, remote } = finding;
  const { code, enhanced, text } = verdict;
  const final = verdict.kind === "deferred" && expired;
  const state = final ? "bounced" : stateOf(verdict);
  const attempt = { at, outcome: final ? ("expired" as const) : state, route, remote, code, enhanced, reply: text };
  return { n: recipient.n, state, attempt: verdict.indeterminate ? { ...attempt, indeterminate: true } : attempt };
}

function stateOf({ kind }: Verdict): "delivered" | "deferred" | "bounced" {
  return kind === "delivered" || kind === "bounced" ? kind : "deferred";
}

/** Reports go to the sender of mail that is no report itself, as each recipient's NOTIFY asks. Without one: on failure. */
function reportOn(task: Task, { recipient, remote, dsn }: Finding, attempt: Attempt): DsnRecipient | undefined {
  if (task.sender === "" || task.kind === "dsn") return undefined;
  if (attempt.outcome === "delivered" && recipient.notify === null) return undefined;
  const asked = recipient.notify === null ? ["FAILURE"] : recipient.notify.toUpperCase().split(",");
  const failed = attempt.outcome === "bounced" || attempt.outcome === "expired";
  const relayed = attempt.outcome === "delivered" && !dsn;
  if (!(failed && asked.includes("FAILURE")) && !(relayed && asked.includes("SUCCESS"))) return undefined;
  const { address, originalRecipient } = recipient;
  const { outcome, code, enhanced, reply } = attempt;
  return {
    address,
    originalRecipient,
    action: failed ? "failed" : "relayed",
    status: outcome === "expired" ? "4.4.7" : (enhanced ?? statusOf(code)),
    remote,
    diagnostic: code === null ? null : `${code}${enhanced === null ? "" : ` ${enhanced}`} ${reply}`,
    reason: outcome === "expired" ? `Given up after many attempts; the last one ended with: ${reply}` : reply,
  };
}

function statusOf(code: number | null): string {
  return `${code === null ? 5 : Math.floor(code / 100)}.0.0`;
}
