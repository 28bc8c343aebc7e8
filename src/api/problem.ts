/**
 * The only way to say no: RFC 9457 problem details.
 *
 * Invariant: a text leaves the program only when it was written for the caller. Whatever else is thrown is answered as
 * `internal` or `unavailable`, with an instance that the log line also carries.
 */
import { Fault, type FaultDetail, type FaultKind } from "../platform/errors.ts";
import { isOutage, mayHaveCommitted } from "../platform/outage.ts";

const kinds = {
  "bad-json": [400, "The body is not JSON"],
  "bad-request": [400, "The request can't be read"],
  unauthorized: [401, "A valid API key is needed"],
  "log-in-failed": [401, "Nobody was logged in"],
  "second-factor-required": [401, "A code of the second factor is needed"],
  forbidden: [403, "This key may not do that"],
  "action-required": [403, "Something has to be done first"],
  "cross-site": [403, "This came from another site"],
  suspended: [403, "This account may not change anything now"],
  "not-found": [404, "There is no such thing"],
  "method-not-allowed": [405, "This path does not know that method"],
  "not-acceptable": [406, "There is no such representation"],
  conflict: [409, "The state of things does not allow that"],
  "still-running": [409, "The first request with this key is still running"],
  gone: [410, "This can no longer be used"],
  "precondition-failed": [412, "It was changed meanwhile"],
  "too-large": [413, "The body is too large"],
  "unsupported-media-type": [415, "The body must be JSON"],
  invalid: [422, "The request is not valid"],
  "idempotency-mismatch": [422, "The key was used with another request"],
  "quota-subaccount": [429, "The monthly limit of the subaccount is reached"],
  "quota-master": [429, "Sending is paused for this account"],
  "too-many-failures": [429, "Too many failed attempts"],
  internal: [500, "Something went wrong on our side"],
  unavailable: [503, "Try again later"],
  unconfirmed: [503, "Nobody knows whether it was done"],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemName = keyof typeof kinds;
export const problemNames = Object.keys(kinds) as ProblemName[];

/** One wrong member. `pointer` is an RFC 6901 pointer into the body; `/limit` or `/Idempotency-Key` for a parameter. */
export type Mistake = FaultDetail;

export class Problem extends Error {
  readonly kind: ProblemName;
  readonly mistakes: readonly Mistake[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    kind: ProblemName,
    detail: string,
    more: { mistakes?: readonly Mistake[]; headers?: Record<string, string> } = {},
  ) {
    super(detail);
    this.name = "Problem";
    this.kind = kind;
    this.mistakes = more.mistakes ?? [];
    this.headers = more.headers ?? {};
  }

  get status(): (typeof kinds)[ProblemName][0] {
    return kinds[this.kind][0];
  }
}

export function titleOf(name: ProblemName): string {
  return kinds[name][1];
}

export function statusOf(name: ProblemName): number {
  return kinds[name][0];
}

/** One wrong query parameter. */
export function invalidQuery(name: string, detail: string): Problem {
  return new Problem("invalid", `${name}: ${detail}`, { mistakes: [{ pointer: `/${name}`, detail }] });
}

const ofFault: Record<FaultKind, ProblemName> = {
  "not-found": "not-found",
  forbidden: "forbidden",
  conflict: "conflict",
  gone: "gone",
  unauthorized: "log-in-failed",
  "second-factor": "second-factor-required",
  "too-many": "too-many-failures",
  invalid: "invalid",
  precondition: "precondition-failed",
  unavailable: "unavailable",
};

const CONNECTION_LOST =
  "The connection to the database was lost: a change that was asked for may have been done. Read it before trying again; " +
  "a creation with an Idempotency-Key may be repeated as it was.";

/** What the caller is told about anything that was thrown. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof Fault) return new Problem(ofFault[error.kind], error.message, { mistakes: error.details });
  if (mayHaveCommitted(error)) return new Problem("unconfirmed", CONNECTION_LOST);
  if (isOutage(error)) {
    return new Problem("unavailable", "This can't be done just now; nothing was changed. Try again in a moment.", {
      headers: { "Retry-After": "1" },
    });
  }
  return new Problem("internal", "The request failed on our side. Tell us the instance if it happens again.");
}

export type ProblemBody = Readonly<{
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  errors?: readonly Mistake[];
}>;

export function problemBody(problem: Problem, instance: string): ProblemBody {
  return {
    type: `/problems/${problem.kind}`,
    title: titleOf(problem.kind),
    status: problem.status,
    detail: problem.message,
    instance,
    ...(problem.mistakes.length > 0 ? { errors: problem.mistakes } : {}),
  };
}

export function answerProblem(problem: Problem, instance: string): Response {
  return new Response(JSON.stringify(problemBody(problem, instance)), {
    status: problem.status,
    headers: { "Content-Type": "application/problem+json", "Cache-Control": "no-store", ...problem.headers },
  });
}
