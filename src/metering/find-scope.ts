/** The part of the ledger that someone names: a master, and a period of it. */
import { findMaster } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { invalid, notFound } from "../platform/errors.ts";
import { type MasterId, parseId } from "../platform/ids.ts";
import { findPeriod } from "./find-period.ts";
import { findClosed } from "./read-statement.ts";
import { EVERYTHING, type Scope } from "./scope.ts";

export type NamedScope = Readonly<{
  masterId?: MasterId | undefined;
  /** Its first day in the master's time zone (`2026-11-01`), or the statement of it (`stm_...`). */
  period?: string | undefined;
}>;

/** @throws Fault not-found: the master, or the statement; invalid at `/period` */
export async function findScope(
  db: Db,
  principal: Principal,
  { masterId, period: name }: NamedScope,
  clock: Clock,
): Promise<Scope> {
  if (masterId === undefined) {
    if (name !== undefined) throw invalid("/period", "Periods are a master's: name it, too.");
    return EVERYTHING;
  }
  const { id, calendar } = await findMaster(db, principal, masterId, clock);
  if (name === undefined) return { masterId: id, period: null };
  const closed = await findClosed(db, id, calendar, name);
  if (closed !== undefined) return { masterId: id, period: { start: closed.period_start, end: closed.period_end } };
  if (parseId("stm", name) !== undefined) throw notFound("statement of this master");
  return { masterId: id, period: await findPeriod(db, { masterId: id, calendar }, name, clock) };
}
