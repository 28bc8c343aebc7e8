/**
 * What a rule says when it can't do what was asked. Its text is for the caller: it names what is wrong and what to do,
 * and never holds a secret, SQL or another tenant's data. Doors translate the kind (404, 409, 422 ... or exit code 1);
 * every other error is a bug or an outage and is answered without its text.
 */
export type FaultKind =
  | "not-found"
  | "forbidden"
  | "conflict"
  | "gone"
  | "invalid"
  | "precondition"
  | "unauthorized"
  | "second-factor"
  | "too-many"
  | "unavailable";

export type FaultDetail = Readonly<{ pointer: string; detail: string }>;

export class Fault extends Error {
  readonly kind: FaultKind;
  /** JSON pointers into the request's body, for `invalid` and `conflict`. */
  readonly details: readonly FaultDetail[];

  constructor(kind: FaultKind, message: string, details: readonly FaultDetail[] = []) {
    super(message);
    this.name = "Fault";
    this.kind = kind;
    this.details = details;
  }
}

/** One member of the body is wrong. `pointer` is an RFC 6901 pointer, e.g. `/monthly_limit`. */
export function invalid(pointer: string, detail: string): Fault {
  return new Fault("invalid", detail, [{ pointer, detail }]);
}

/** Also the answer for another tenant's id: whether it exists is not told. */
export function notFound(what: string): Fault {
  return new Fault("not-found", `There is no such ${what}.`);
}
