/** What `ledger verify` finds wrong. */
export type Check = "archive" | "counters" | "entries" | "messages" | "statements" | "days" | "credits" | "prices";

export type Difference = Readonly<{
  check: Check;
  /** The id (TypeID) of what is wrong: a message, an account, a statement; of a day of the ledger its date, of an archived month the month. */
  subject: string;
  detail: string;
}>;

/** How far it is: rows of a check that have been read. */
export type Progress = Readonly<{ check: Check; read: number }>;

/** A check tells what it has read and what it has found; it never changes anything. */
export type Findings = Readonly<{ found(difference: Difference): void; read(rows: number): void }>;
