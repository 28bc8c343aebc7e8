/** The state machine against the database. */
import { expect, test } from "vitest";
import type { Subaccount } from "../../src/accounts/account.ts";
import { findSubaccount } from "../../src/accounts/find.ts";
import { createKey } from "../../src/accounts/keys.ts";
import type { Principal } from "../../src/accounts/principal.ts";
import { type Action, ownStates, type StateAction, stateActions, subaccountMoves } from "../../src/accounts/states.ts";
import { transitionMaster, transitionSubaccount } from "../../src/accounts/transition.ts";
import { listAudit } from "../../src/audit/list.ts";
import { periodAt } from "../../src/metering/period.ts";
import type { SubaccountId } from "../../src/platform/ids.ts";
import { testDatabase } from "../support/database.ts";
import { operator, type TestMaster, tenants } from "../support/tenants.ts";

const { db, clock } = await testDatabase();
const make = tenants({ db, clock });
const acme = await make.master();

const go = (principal: Principal, id: SubaccountId, action: Action) =>
  transitionSubaccount(db, principal, id, action, {}, clock);

/** Ways from active to each state. */
const ways: Record<(typeof ownStates)[number], StateAction[]> = {
  active: [],
  pending: [],
  disabled: ["disable"],
  closed: ["close"],
  archived: ["close", "archive"],
};

async function inState(of: TestMaster, state: (typeof ownStates)[number]): Promise<Subaccount> {
  const pending = { onboarding: "invite", ownerEmail: "o@shop.example" } as const;
  const { subaccount } = await make.subaccount(of, state === "pending" ? pending : {});
  for (const action of ways[state]) await go(of.principal, subaccount.id, action);
  return findSubaccount(db, operator, subaccount.id, clock);
}

test.each(stateActions.flatMap((action) => ownStates.map((from) => [action, from] as const)))(
  "%s from %s does what the table says, and nothing when repeated",
  async (action, from) => {
    const before = await inState(acme, from);
    const move = subaccountMoves[action][from];
    if (move === undefined) {
      await expect(go(acme.principal, before.id, action)).rejects.toMatchObject({ kind: "conflict" });
      expect(await findSubaccount(db, operator, before.id, clock)).toEqual(before);
      return;
    }
    const after = await go(acme.principal, before.id, action);
    if (move === "stays") expect(after).toEqual(before);
    else expect(after).toMatchObject({ ownState: move === "before" ? "active" : move, version: before.version + 1 });
    expect(await go(acme.principal, before.id, action)).toEqual(after);
  },
);

test.each(["pending", "active", "disabled"] as const)("reopening leads back to %s", async (state) => {
  const { id } = await inState(acme, state);
  await go(acme.principal, id, "close");
  await go(acme.principal, id, "archive");
  expect(await go(acme.principal, id, "reopen")).toMatchObject({ state, stateBefore: null, closedAt: null });
});

test("the master's own subaccount can't be closed or archived", async () => {
  const id = acme.master.ownSubaccountId;
  for (const action of ["close", "archive"] as const) {
    await expect(go(acme.principal, id, action)).rejects.toMatchObject({ kind: "conflict" });
  }
});

test("suspension is the operator's, and a flag beside the state", async () => {
  const { id } = await inState(acme, "disabled");
  for (const action of ["suspend", "resume"] as const) {
    await expect(go(acme.principal, id, action)).rejects.toMatchObject({ kind: "forbidden" });
  }
  expect(await go(operator, id, "suspend")).toMatchObject({ state: "suspended", ownState: "disabled" });
  expect(await go(acme.principal, id, "enable")).toMatchObject({ state: "suspended", ownState: "active" });
  expect(await go(operator, id, "resume")).toMatchObject({ state: "active", suspendedAt: null });
});

test("a subaccount may not change its own state", async () => {
  const { principal, subaccount } = await make.subaccount(acme);
  await expect(go(principal, subaccount.id, "close")).rejects.toMatchObject({ kind: "forbidden" });
});

test("a change that was decided on an older version is refused", async () => {
  const { subaccount } = await make.subaccount(acme);
  const at = (version: number) =>
    transitionSubaccount(db, acme.principal, subaccount.id, "disable", { version }, clock);
  await expect(at(2)).rejects.toMatchObject({ kind: "precondition" });
  expect(await at(1)).toMatchObject({ state: "disabled", version: 2 });
});

test("the words of the master for a disabled subaccount are kept", async () => {
  const { subaccount } = await make.subaccount(acme);
  const say = (publicMessage: string) =>
    transitionSubaccount(db, acme.principal, subaccount.id, "disable", { publicMessage }, clock);
  await expect(say("a\r\nb")).rejects.toMatchObject({ kind: "invalid", details: [{ pointer: "/public_message" }] });
  expect(await say("Please pay")).toMatchObject({ publicMessage: "Please pay" });
});

test("once closed, the usage row says so before the answer, and open again after reopening", async () => {
  const { subaccount } = await make.subaccount(acme);
  const { start, end } = periodAt(subaccount.calendar, clock.now());
  await db
    .selectNoFrom((eb) => eb.fn("open_usage", [eb.val(subaccount.id), eb.val(start), eb.val(end)]).as("x"))
    .execute();
  const open = async () =>
    (await db.selectFrom("usage").select("open").where("account_id", "=", subaccount.id).executeTakeFirstOrThrow())
      .open;
  expect(await open()).toBe(true);
  await go(acme.principal, subaccount.id, "close");
  expect(await open()).toBe(false);
  await go(acme.principal, subaccount.id, "reopen");
  expect(await open()).toBe(true);
});

test("credentials and keys come back with reopening, unless they are to be rotated", async () => {
  const shop = await make.subaccount(acme);
  await createKey(db, shop.principal, { name: "k", scopes: ["full"] }, make.keyring, clock);
  const valid = async () => {
    const tables = ["credential", "api_key"] as const;
    const rows = tables.map((table) =>
      db
        .selectFrom(table)
        .select("id")
        .where("subaccount_id", "=", shop.subaccount.id)
        .where("revoked_at", "is", null)
        .execute(),
    );
    return (await Promise.all(rows)).flat().length;
  };
  await go(acme.principal, shop.subaccount.id, "close");
  await go(acme.principal, shop.subaccount.id, "reopen");
  expect(await valid()).toBe(2);
  await go(acme.principal, shop.subaccount.id, "close");
  await transitionSubaccount(db, acme.principal, shop.subaccount.id, "reopen", { rotate: true }, clock);
  expect(await valid()).toBe(0);
});

test("each change of state is an event and an audit entry, a repetition is neither", async () => {
  const { subaccount } = await make.subaccount(acme);
  for (const action of ["close", "close", "reopen", "reopen"] as const) await go(acme.principal, subaccount.id, action);
  const events = await db
    .selectFrom("event")
    .selectAll()
    .where("subaccount_id", "=", subaccount.id)
    .orderBy("id")
    .execute();
  expect(events.map(({ type, data }) => [type, data])).toEqual([
    ["subaccount.state_changed", { from: "active", to: "closed" }],
    ["subaccount.state_changed", { from: "closed", to: "active" }],
  ]);
  const entries = await listAudit(db, acme.principal, { subaccountId: subaccount.id, limit: 10 });
  expect(entries.map(({ action }) => action).slice(0, 2)).toEqual(["subaccount.reopened", "subaccount.closed"]);
  expect(entries[1]).toMatchObject({ before: { state: "active" }, after: { state: "closed" } });
});

test("a master's states are the operator's and are shown on its subaccounts", async () => {
  const globex = await make.master();
  const { subaccount } = await make.subaccount(globex);
  const master = (principal: Principal, action: Action) =>
    transitionMaster(db, principal, globex.master.id, action, {}, clock);
  const shown = async () => (await findSubaccount(db, globex.principal, subaccount.id, clock)).state;
  await expect(master(globex.principal, "suspend")).rejects.toMatchObject({ kind: "forbidden" });
  expect(await master(operator, "suspend")).toMatchObject({ state: "suspended", ownState: "active" });
  expect(await shown()).toBe("suspended");
  expect(await master(operator, "close")).toMatchObject({ state: "closed" });
  expect(await shown()).toBe("closed");
  await expect(master(operator, "archive")).rejects.toMatchObject({ kind: "conflict" });
  await master(operator, "resume");
  expect(await master(operator, "reopen")).toMatchObject({ state: "active" });
  expect(await shown()).toBe("active");
});
