/** For verbs that must be whole, and may be part of something larger that must be whole. */
import type { Db } from "./database.ts";

/** In the caller's transaction where there is one, else in one of its own. */
export function inTransaction<T>(db: Db, work: (trx: Db) => Promise<T>): Promise<T> {
  return db.isTransaction ? work(db) : db.transaction().execute(work);
}
