/** What a delivery worker needs of the spool, bound to one owner of leases. */
import type { Pool } from "pg";
import type { Clock } from "../platform/clock.ts";
import type { MessageId, SubaccountId } from "../platform/ids.ts";
import { readBody, readSmallBodies } from "./body.ts";
import { type Claimed, claim } from "./claim.ts";
import { release, renew } from "./lease.ts";
import type { Result, Task } from "./message.ts";
import { settle } from "./settle.ts";

export function deliverySpool(pool: Pool, owner: number, lifetimeMs: number, clock: Clock) {
  return {
    claim: (asked: { leaseMs: number; limit: number; perTenant: number; cursor: SubaccountId }): Promise<Claimed> =>
      claim(pool, { owner, ...asked }),
    renew: (tasks: readonly Task[], leaseMs: number) => renew(pool, owner, tasks, leaseMs),
    release: (tasks: readonly Task[], delayMs: number) => release(pool, owner, tasks, delayMs),
    settle: (results: readonly Result[]) => settle(pool, owner, results, lifetimeMs, clock),
    readSmallBodies: (ids: readonly MessageId[]) => readSmallBodies(pool, ids),
    readBody: (task: Pick<Task, "id" | "bodyParts">) => readBody(pool, task.id, task.bodyParts),
  };
}
