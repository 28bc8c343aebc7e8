/** A master comes with a subaccount for its own sending and with one API key, in one transaction. */
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault } from "../platform/errors.ts";
import { formatId, type MasterId, newId, type SubaccountId } from "../platform/ids.ts";
import type { Keyring } from "../platform/secrets.ts";
import { inTransaction } from "../platform/transaction.ts";
import type { Master } from "./account.ts";
import { dailyCapGiven } from "./daily-cap.ts";
import { checkFields, columnsOf } from "./fields.ts";
import { findMaster } from "./find.ts";
import { insertKey, type NewApiKey } from "./keys.ts";
import { type MasterDetails, masterFields, masterMembers } from "./master-fields.ts";
import type { Principal } from "./principal.ts";
import { insertWithSlug } from "./slug.ts";

/** `allowance`: units per period; null is unlimited. */
export type MasterInput = MasterDetails &
  Required<Readonly<{ name: string; allowance: number | null }>> &
  Readonly<Pick<Required<MasterDetails>, "notificationEmails">>;

/** @throws Fault forbidden, invalid */
export async function createMaster(
  db: Db,
  principal: Principal,
  input: MasterInput,
  keyring: Keyring,
  clock: Clock,
): Promise<Readonly<{ master: Master; apiKey: NewApiKey }>> {
  if (principal.kind !== "operator") throw new Fault("forbidden", "Only the operator may do this.");
  checkFields(masterFields, input);
  return inTransaction(db, async (trx) => {
    const id = newId<MasterId>(clock);
    const ownId = newId<SubaccountId>(clock);
    const now = clock.now();
    const given = input.newSubaccountDailyCap;
    const dailyCap = given === undefined ? {} : { newSubaccountDailyCap: dailyCapGiven(null, given) };
    const columns = columnsOf(masterFields, { ...input, ...dailyCap }) as {
      name: string;
      allowance: number | null;
      notification_emails: string;
    };
    await trx
      .insertInto("master")
      .values({ ...columns, id, own_subaccount_id: ownId, created_at: now, updated_at: now })
      .execute();
    await insertWithSlug(trx, { id: ownId, master_id: id, name: input.name, created_at: now, updated_at: now });
    const apiKey = await insertKey(
      trx,
      { masterId: id, subaccountId: null, name: "First key", scopes: ["full"] },
      keyring,
      clock,
    );
    const master = await findMaster(trx, principal, id, clock);
    const after = {
      ...masterMembers(master),
      api_key: { id: formatId("key", apiKey.apiKey.id), hint: apiKey.apiKey.hint },
    };
    const target = formatId("mas", id);
    await record(
      trx,
      { principal, action: "master.created", target, before: null, after, masterId: id, subaccountId: null },
      clock,
    );
    return { master, apiKey };
  });
}
