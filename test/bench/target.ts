import type { Tls } from "./connection.ts";

/** What the bench drives: something that takes mail on a port and brings it to the sink. */
export type Target = Readonly<{
  name: TargetName;
  /** One line for the report: version, where its queue is, what is on. */
  about: string;
  /** On 127.0.0.1, one for each way that it takes mail in. */
  ports: Readonly<Partial<Record<Tls, number>>>;
  /** Sessions take these in turn; empty: no AUTH. */
  logins: readonly Login[];
  /** The programs whose process trees are this target. */
  roots: readonly Root[];
  /** What its own books say was accepted so far, per book; empty for a target that keeps none. */
  books(): Promise<readonly Readonly<{ book: string; accepted: number }>[]>;
  /** What is wrong with its books by its own judgement; null when nothing is, or when it keeps none. */
  verify(): Promise<string | null>;
  [Symbol.asyncDispose](): Promise<void>;
}>;

export type Root = Readonly<{ name: string; pid: number }>;

export type Login = Readonly<{ username: string; password: string }>;

export const targetNames = ["relay", "before", "postfix-tmpfs", "postfix-disk", "haraka", "sink"] as const;
export type TargetName = (typeof targetNames)[number];

/** Said instead of a target that can't take part here. */
export type Absent = Readonly<{ name: TargetName; why: string }>;

/** What stands on a line of the report. */
export function contenderName({ target, tls }: Readonly<{ target: TargetName; tls: Tls }>): string {
  return tls === "off" ? target : `${target} ${tls}`;
}
