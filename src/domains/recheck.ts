/**
 * The job that looks at proofs again: every verified domain once a day.
 *
 * Invariant: repeating it is harmless; a domain that can't be looked up, or is changed meanwhile, is left for the next run.
 */
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import type { DomainId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import { type DomainRow, proofName } from "./domain.ts";
import type { TxtLookup } from "./lookup.ts";
import { settleProof } from "./verify.ts";

const DAY_MS = 86_400_000;
const AT_ONCE = 10;

export type RecheckOptions = Readonly<{ db: Db; lookup: TxtLookup; clock: Clock; log: Log }>;

/** Returns how many were looked up. */
export async function recheckDomains(options: RecheckOptions): Promise<number> {
  let after: DomainId | undefined;
  let checked = 0;
  for (;;) {
    const due = await readDue(options, after);
    const results = await Promise.all(due.map((row) => recheck(options, row)));
    checked += results.filter((done) => done).length;
    after = due.at(-1)?.id;
    if (after === undefined) return checked;
  }
}

function readDue(
  { db, clock }: RecheckOptions,
  after: DomainId | undefined,
): Promise<Pick<DomainRow, "id" | "name">[]> {
  const before = new Date(clock.now().getTime() - DAY_MS);
  let query = db
    .selectFrom("sender_domain")
    .select(["id", "name"])
    .where("state", "=", "verified")
    .where((eb) => eb.or([eb("checked_at", "<", before), eb("checked_at", "is", null)]));
  if (after !== undefined) query = query.where("id", ">", after);
  return query.orderBy("id").limit(AT_ONCE).execute();
}

async function recheck(options: RecheckOptions, { id, name }: Pick<DomainRow, "id" | "name">): Promise<boolean> {
  const { db, lookup, clock, log } = options;
  const answer = await lookup(proofName(name));
  if (answer.kind === "unavailable") {
    log.warn({ event: "domain.unchecked", domain: name });
    return false;
  }
  try {
    await settleProof(db, { kind: "system" }, id, answer.values, clock);
    return true;
  } catch (error) {
    if (error instanceof Fault) return false;
    throw error;
  }
}
