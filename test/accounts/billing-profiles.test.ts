/** Billing profiles: one default, none deleted that is named, whoever races. */
import { expect, test } from "vitest";
import {
  changeBillingProfile,
  createBillingProfile,
  deleteBillingProfile,
  findBillingProfile,
  listBillingProfiles,
} from "../../src/accounts/billing-profiles.ts";
import { changeSubaccount } from "../../src/accounts/change-subaccount.ts";
import { testDatabase } from "../support/database.ts";
import { type TestMaster, tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, clock, pool } = database;
const make = tenants({ db, clock });
const acme = await make.master();

const create = (name: string, more: object = {}, { principal }: TestMaster = acme) =>
  createBillingProfile(db, principal, { name, currency: "EUR", ...more }, clock);
const defaultsOf = async ({ principal }: TestMaster) =>
  (await listBillingProfiles(db, principal, { limit: 100 })).filter(({ isDefault }) => isDefault);

test("it is created, changed under its version, listed and deleted, and each is in the audit log", async () => {
  const own = await make.master();
  const made = await create("North", { costCentre: "12", address: "Quay 1\nHarbour" }, own);
  const patch = { currency: "JPY", address: null };
  const changed = await changeBillingProfile(db, own.principal, made.id, patch, { version: 1 }, clock);
  expect(changed).toMatchObject({ name: "North", currency: "JPY", costCentre: "12", address: null, version: 2 });
  const stale = changeBillingProfile(db, own.principal, made.id, { currency: "EUR" }, { version: 1 }, clock);
  await expect(stale).rejects.toMatchObject({ kind: "precondition" });
  expect(await changeBillingProfile(db, own.principal, made.id, patch, {}, clock)).toEqual(changed);
  expect(await listBillingProfiles(db, own.principal, { limit: 10 })).toEqual([changed]);
  await deleteBillingProfile(db, own.principal, made.id, clock);
  await expect(findBillingProfile(db, own.principal, made.id)).rejects.toMatchObject({ kind: "not-found" });
  const { rows } = await pool.query(
    "select action, before ->> 'currency' as b, after ->> 'currency' as a from audit_entry where master_id = $1 and action like 'billing_profile.%' order by id",
    [own.master.id],
  );
  expect(rows).toEqual([
    { action: "billing_profile.created", b: null, a: "EUR" },
    { action: "billing_profile.changed", b: "EUR", a: "JPY" },
    { action: "billing_profile.deleted", b: "JPY", a: null },
  ]);
});

test.each(["", "eur", "EURO", "XYZ", "978"])("%o is no currency", async (currency) => {
  const wrong = { kind: "invalid", details: [{ pointer: "/currency" }] };
  await expect(create("Wrong", { currency })).rejects.toMatchObject(wrong);
});

test("a name is taken once by a master, and free for another", async () => {
  await create("Twice");
  await expect(create("Twice")).rejects.toMatchObject({ kind: "conflict", details: [{ pointer: "/name" }] });
  await create("Twice", {}, await make.master());
});

test("a subaccount sees none, and another master's is not there", async () => {
  const { id } = await create("Ours");
  const { principal } = await make.subaccount(acme);
  const stranger = (await make.master()).principal;
  for (const who of [principal, stranger]) {
    await expect(findBillingProfile(db, who, id)).rejects.toMatchObject({ kind: "not-found" });
  }
  expect(await listBillingProfiles(db, stranger, { limit: 10 })).toEqual([]);
  await expect(deleteBillingProfile(db, stranger, id, clock)).rejects.toMatchObject({ kind: "not-found" });
  const change = changeBillingProfile(db, stranger, id, { isDefault: true }, {}, clock);
  await expect(change).rejects.toMatchObject({ kind: "not-found" });
  await expect(deleteBillingProfile(db, principal, id, clock)).rejects.toMatchObject({ kind: "forbidden" });
});

test("of many that become the default at once one is it in the end, and the default is not deleted", async () => {
  const own = await make.master();
  const names = ["a", "b", "c", "d", "e", "f"];
  const made = await Promise.all(names.map((name) => create(name, { isDefault: true }, own)));
  expect(await defaultsOf(own)).toHaveLength(1);
  const take = { isDefault: true };
  await Promise.all(made.map(({ id }) => changeBillingProfile(db, own.principal, id, take, {}, clock)));
  const [last, ...more] = await defaultsOf(own);
  expect(more).toEqual([]);
  await expect(deleteBillingProfile(db, own.principal, last!.id, clock)).rejects.toMatchObject({ kind: "conflict" });
  const second = pool.query("update billing_profile set is_default = true where master_id = $1", [own.master.id]);
  await expect(second).rejects.toMatchObject({ constraint: "billing_profile_default" });
});

test("one that a subaccount names is not deleted until none does; a name of another master is no use of it", async () => {
  const { id } = await create("Used");
  const other = await make.master();
  await make.subaccount(other, { billingProfile: "Used" });
  const { subaccount } = await make.subaccount(acme, { billingProfile: "Used" });
  await expect(deleteBillingProfile(db, acme.principal, id, clock)).rejects.toMatchObject({ kind: "conflict" });
  await changeSubaccount(db, acme.principal, subaccount.id, { billingProfile: null }, {}, clock);
  await deleteBillingProfile(db, acme.principal, id, clock);
});

/** Deletes a profile while a change that names it is not committed yet. */
async function deleteDuringChange(name: string) {
  const { id } = await create(name);
  const { subaccount } = await make.subaccount(acme);
  const client = await pool.connect();
  try {
    await client.query("begin");
    await client.query("update subaccount set billing_profile = $2 where id = $1", [subaccount.id, name]);
    const { rows } = await client.query("select pg_backend_pid() as pid");
    const deleted = deleteBillingProfile(db, acme.principal, id, clock).then(
      () => "deleted",
      (error) => error.kind,
    );
    let settled = false;
    void deleted.then(() => {
      settled = true;
    });
    for (let waits = false; !waits && !settled; ) {
      const blocked = "select 1 from pg_stat_activity where $1::int = any(pg_blocking_pids(pid))";
      waits = ((await pool.query(blocked, [rows[0].pid])).rowCount ?? 0) > 0;
    }
    await client.query("commit");
    return await deleted;
  } finally {
    client.release();
  }
}

test("who deletes one waits for whoever names it now, and is refused", async () => {
  expect(await deleteDuringChange("Raced")).toBe("conflict");
});

test("control: without the trigger it is deleted under the one who names it", async () => {
  await pool.query("alter table subaccount disable trigger keep_billing_profile");
  try {
    expect(await deleteDuringChange("Raced without")).toBe("deleted");
  } finally {
    await pool.query("alter table subaccount enable trigger keep_billing_profile");
  }
});
