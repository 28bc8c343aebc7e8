/** May this node be given work? It asks Postgres only: acceptance goes on without Redis. */
import type { Readiness } from "./api/deps.ts";
import type { Clock } from "./platform/clock.ts";
import { checkClock, type Db } from "./platform/database.ts";
import { Fault } from "./platform/errors.ts";

export function createReadiness(db: Db, clock: Clock): Readiness {
  return async () => {
    try {
      await checkClock(db, clock);
      return [];
    } catch (error) {
      return [error instanceof Fault ? error.message : "the database can't be reached"];
    }
  };
}
