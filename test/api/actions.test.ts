/** What a row offers is what can be done: each action is tried in each state by each kind of caller. */
import { beforeEach, describe, expect, test } from "vitest";
import { actionsOf, type RowAction, rowActions } from "../../src/accounts/actions.ts";
import { ownStates, stateActions, subaccountMoves } from "../../src/accounts/states.ts";
import { parseId } from "../../src/platform/ids.ts";
import { type Ask, newMaster, newSubaccount, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call, database } = door;
const master = await newMaster(door, { allowance: null });
const shop = await newSubaccount(door, master);
const reading = await call("POST", "/v1/keys", { key: master.key, body: { name: "r", scopes: ["read"] } });

const callers: [string, Ask][] = [
  ["the operator", { key: OPERATOR_KEY }],
  ["the operator who acts for the master", { key: OPERATOR_KEY, account: master.masterId }],
  ["the operator who acts for it", { key: OPERATOR_KEY, account: shop.id }],
  ["its master", { key: master.key }],
  ["its master's key that may read", { key: reading.body.key }],
  ["its master who acts for it", { key: master.key, account: shop.id }],
  ["itself", { key: shop.key }],
];

type Facts = Readonly<{
  state: (typeof ownStates)[number];
  flag: "none" | "suspended" | "expired";
  limit: number | null;
}>;

const all: Facts[] = ownStates.flatMap((state) =>
  (["none", "suspended", "expired"] as const).flatMap((flag) =>
    [100, null].map((limit) => ({ state, flag, limit: limit as number | null })),
  ),
);

let version = 1;

/** As if it had come there by its own verbs. */
async function put(id: string, { state, flag, limit }: Facts): Promise<void> {
  const uuid = parseId("sub", id)!;
  version += 1;
  await database.pool.query(
    `update subaccount set state = $2, suspended_at = $3, expires_at = $4, monthly_limit = $5, version = $6, plan = 'before',
       state_before = case when $2 in ('closed', 'archived') then 'active' end, owner_name = 'before' where id = $1`,
    [
      uuid,
      state,
      flag === "suspended" ? new Date() : null,
      flag === "expired" ? new Date("2020-01-01") : null,
      limit,
      version,
    ],
  );
  door.deps.authenticator.forget({ kind: "subaccount", id: uuid });
}

const requests: { readonly [A in RowAction]?: Pick<Ask, "body"> & { method?: string; path?: string } } = {
  change: { method: "PATCH", path: "", body: { owner_name: "after" } },
  top_up: { path: "/top_ups", body: { units: 1 } },
  log_in_as: { body: { reason: "to look" } },
  renew: { body: { months: 1 } },
};

/** They change no row of the account. */
const ofPeople = new Set<RowAction>(["invite", "resend_invitation", "reset_password", "temporary_password"]);
/** An account that is open and has no end can be renewed, too; a row does not offer it. */
const tryable = rowActions.filter((action) => action !== "renew");

/** Whether it was allowed and changed something. A subaccount changes itself at /v1/account. */
async function tried(id: string, action: RowAction, ask: Ask): Promise<boolean> {
  const { method = "POST", path = `/${action}`, body } = requests[action] ?? {};
  const answer = await call(method, `/v1/subaccounts/${id}${path}`, { ...ask, body });
  const own =
    answer.status === 403 && action === "change" ? await call(method, "/v1/account", { ...ask, body }) : answer;
  expect([200, 201, 401, 403, 404, 409], answer.text).toContain(own.status);
  if (own.status === 201 || (own.status === 200 && ofPeople.has(action))) return true;
  const { rows } = await database.pool.query("select version from subaccount where id = $1", [parseId("sub", id)]);
  return own.status === 200 && Number(rows[0].version) !== version;
}

describe.each(callers)("to %s", (_, ask) => {
  test.each(all)("a subaccount $state, $flag, limit $limit, offers just what can be done", async (facts) => {
    await put(shop.id, facts);
    const shown = await call("GET", `/v1/subaccounts/${shop.id}`, ask);
    const done: RowAction[] = [];
    for (const action of tryable) {
      await put(shop.id, facts);
      if (await tried(shop.id, action, ask)) done.push(action);
    }
    // A closed account's own key opens nothing at all.
    if (shown.status === 401) expect(done).toEqual([]);
    else expect(shown.body.actions.filter((action: RowAction) => action !== "renew")).toEqual(done);
  });
});

describe("the master's own subaccount", () => {
  const { ownSubaccountId: id } = master;
  test.each(["active", "disabled"] as const)("%s offers just what can be done", async (state) => {
    const facts = { state, flag: "none", limit: null } as const;
    await put(id, facts);
    const shown = await call("GET", `/v1/subaccounts/${id}`, { key: OPERATOR_KEY });
    const done: RowAction[] = [];
    for (const action of tryable) {
      await put(id, facts);
      if (await tried(id, action, { key: OPERATOR_KEY })) done.push(action);
    }
    expect(shown.body.actions).toEqual(done);
    expect(done).not.toContain("close");
  });
});

describe("people", () => {
  const active = { state: "active", flag: "none", limit: 100 } as const;
  const seen = async () => (await call("GET", `/v1/subaccounts/${shop.id}`, { key: master.key })).body.actions;
  const ofOwner = ["invite", "resend_invitation", "reset_password", "temporary_password"] as const;

  test("are offered what fits: an invitation, another, or a new password", async () => {
    await put(shop.id, active);
    await database.pool.query("update subaccount set owner_email = 'pat@shop.example' where id = $1", [
      parseId("sub", shop.id),
    ]);
    const works = async () => {
      const done: string[] = [];
      for (const action of [...ofOwner].reverse()) {
        const fits = (await seen()).includes(action);
        const answer = await call("POST", `/v1/subaccounts/${shop.id}/${action}`, { key: master.key });
        expect(answer.status < 300, action).toBe(fits);
        if (fits) done.push(action);
      }
      return done;
    };
    expect(await works()).toEqual(["invite"]);
    expect(await works()).toEqual(["resend_invitation"]);
    await database.pool.query("update member set accepted_at = pm_now()");
    await database.pool.query("update person set password_hash = 'x'");
    expect(await works()).toEqual(["temporary_password", "reset_password"]);
  });

  test("renewing is offered to what has an end, or is closed", async () => {
    await put(shop.id, { ...active, flag: "expired" });
    expect(await seen()).toContain("renew");
    await put(shop.id, { ...active, state: "closed" });
    expect(await seen()).toContain("renew");
    await put(shop.id, active);
    expect(await seen()).not.toContain("renew");
  });
});

describe("a row of the list", () => {
  beforeEach(() => put(shop.id, { state: "active", flag: "none", limit: 100 }));

  test("offers what the account alone does", async () => {
    const list = await call("GET", "/v1/subaccounts", { key: master.key });
    const one = await call("GET", `/v1/subaccounts/${shop.id}`, { key: master.key });
    expect(list.body.data[0].actions).toEqual(one.body.actions);
    const people = ["reset_password", "temporary_password"]; // of the owner that the test above has let in
    expect(one.body.actions).toEqual(["change", "top_up", "close", "disable", "log_in_as", ...people]);
  });

  test("of a suspended master offers the master nothing, the operator as before", async () => {
    await call("POST", `/v1/masters/${master.masterId}/suspend`, { key: OPERATOR_KEY });
    const seen = async (key: string) => (await call("GET", `/v1/subaccounts/${shop.id}`, { key })).body.actions;
    expect(await seen(master.key)).toEqual([]);
    expect(await seen(OPERATOR_KEY)).toContain("disable");
    await call("POST", `/v1/masters/${master.masterId}/resume`, { key: OPERATOR_KEY });
  });
});

test("control: a table that allows one move more, or one less, is noticed", () => {
  const states = { own: false, state: "pending", ownState: "pending", suspendedAt: null, expiresAt: null } as const;
  const facts = { ...states, monthlyLimit: 1, owner: null, ownerEmail: null, movedTo: null, erasedAt: null } as const;
  const operator = { kind: "operator", via: "key" } as const;
  const offered = actionsOf(facts, operator);
  const legal = stateActions.filter((action) => {
    const move = subaccountMoves[action].pending;
    return move !== undefined && move !== "stays";
  });
  expect(offered.filter((action) => stateActions.includes(action as never))).toEqual(legal);
  const moves = subaccountMoves.disable as Record<string, string>;
  moves.pending = "disabled";
  try {
    expect(actionsOf(facts, operator)).not.toEqual(offered);
  } finally {
    delete moves.pending;
  }
});
