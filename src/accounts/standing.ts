/** Whether who asked for something that takes long may still have it done: what held when it was asked may hold no longer. */
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { findMaster, findSubaccount } from "./find.ts";
import type { Principal } from "./principal.ts";

/** @throws Fault forbidden when its key was revoked, the person has left, or its account may change nothing any more */
export async function requireStanding(db: Db, principal: Principal, clock: Clock): Promise<void> {
  await requirePerson(db, principal);
  if (principal.kind === "operator" || principal.operator) return;
  const account =
    principal.kind === "master"
      ? await findMaster(db, principal, principal.masterId, clock)
      : await findSubaccount(db, principal, principal.subaccountId, clock);
  if (account.state !== "active") throw new Fault("forbidden", `The account is ${account.state}.`);
  const keyId = principal.kind === "subaccount" ? (principal.by?.keyId ?? principal.keyId) : principal.keyId;
  if (keyId === null) return;
  const key = await db.selectFrom("api_key").select("revoked_at").where("id", "=", keyId).executeTakeFirst();
  if (key === undefined || key.revoked_at !== null)
    throw new Fault("forbidden", "The key that asked for it was revoked.");
}

async function requirePerson(db: Db, principal: Principal): Promise<void> {
  const memberId =
    principal.kind === "subaccount" ? (principal.by?.memberId ?? principal.memberId) : principal.memberId;
  if (memberId === undefined) return;
  const member = await db
    .selectFrom("member")
    .select(["role", "removed_at"])
    .where("id", "=", memberId)
    .executeTakeFirst();
  const still = member !== undefined && member.removed_at === null && ["owner", "admin"].includes(member.role);
  if (!still) throw new Fault("forbidden", "Who asked for it may not do so any more.");
}
