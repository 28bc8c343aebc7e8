/** If-Match: a change may be bound to the version that its maker has seen. */
import { Fault } from "../platform/errors.ts";

/** @param expected undefined: any. @throws Fault precondition */
export function requireVersion(account: Readonly<{ version: number }>, expected: number | undefined): void {
  if (expected === undefined || expected === account.version) return;
  throw new Fault("precondition", "It was changed since you read it: read it again, then repeat the change.");
}
