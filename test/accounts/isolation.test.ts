/** No tenant sees, changes or learns of another: whatever is not its own does not exist for it. */
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { actFor } from "../../src/accounts/act-for.ts";
import { changeMaster } from "../../src/accounts/change-master.ts";
import { changeSubaccount } from "../../src/accounts/change-subaccount.ts";
import {
  createCredential,
  findCredential,
  listCredentials,
  revokeCredential,
  rotateCredential,
} from "../../src/accounts/credentials.ts";
import { findMaster, findSubaccount, parseSubaccountRef } from "../../src/accounts/find.ts";
import { createKey, findKey, revokeKey } from "../../src/accounts/keys.ts";
import type { Principal } from "../../src/accounts/principal.ts";
import { transitionMaster, transitionSubaccount } from "../../src/accounts/transition.ts";
import { addDomain } from "../../src/domains/add.ts";
import { findDomain } from "../../src/domains/domain.ts";
import { grantDomain, withdrawDomain } from "../../src/domains/grant.ts";
import { listDomains } from "../../src/domains/list.ts";
import { removeDomain } from "../../src/domains/remove.ts";
import { verifyDomain } from "../../src/domains/verify.ts";
import { Fault } from "../../src/platform/errors.ts";
import { formatId } from "../../src/platform/ids.ts";
import { testDatabase } from "../support/database.ts";
import { operator, tenants } from "../support/tenants.ts";

const { db, clock } = await testDatabase();
const { keyring, ...make } = tenants({ db, clock });

const [acme, globex] = [await make.master(), await make.master()];
const [mine, sibling, theirs] = [
  await make.subaccount(acme, { externalId: "mine" }),
  await make.subaccount(acme, { externalId: "sibling" }),
  await make.subaccount(globex, { externalId: "theirs" }),
];
const lookup = async () => ({ kind: "values", values: [] }) as const;

async function belongings(of: typeof globex, shop: typeof theirs) {
  const key = await createKey(
    db,
    of.principal,
    { name: "k", scopes: ["full"], subaccount: shop.subaccount.id },
    keyring,
    clock,
  );
  const domain = await addDomain(db, of.principal, shop.subaccount.id, { name: `d-${randomUUID()}.example` }, clock);
  return {
    master: of.master.id,
    subaccount: shop.subaccount.id,
    credential: shop.credentialId,
    key: key.apiKey.id,
    domain: domain.id,
  };
}

type Belongings = Awaited<ReturnType<typeof belongings>>;

const verbs: Record<string, (principal: Principal, it: Belongings) => Promise<unknown>> = {
  findSubaccount: (p, it) => findSubaccount(db, p, it.subaccount, clock),
  changeSubaccount: (p, it) => changeSubaccount(db, p, it.subaccount, { ownerName: "x" }, {}, clock),
  "close a subaccount": (p, it) => transitionSubaccount(db, p, it.subaccount, "close", {}, clock),
  createCredential: (p, it) => createCredential(db, p, it.subaccount, {}, keyring, clock),
  listCredentials: (p, it) => listCredentials(db, p, it.subaccount, { limit: 1 }, clock),
  findCredential: (p, it) => findCredential(db, p, it.credential),
  rotateCredential: (p, it) => rotateCredential(db, p, it.credential, 0, keyring, clock),
  revokeCredential: (p, it) => revokeCredential(db, p, it.credential, clock),
  createKey: (p, it) => createKey(db, p, { name: "k", scopes: ["full"], subaccount: it.subaccount }, keyring, clock),
  findKey: (p, it) => findKey(db, p, it.key),
  revokeKey: (p, it) => revokeKey(db, p, it.key, clock),
  addDomain: (p, it) => addDomain(db, p, it.subaccount, { name: "x.example" }, clock),
  listDomains: (p, it) => listDomains(db, p, { subaccount: it.subaccount, limit: 1 }, clock),
  findDomain: (p, it) => findDomain(db, p, it.domain),
  verifyDomain: (p, it) => verifyDomain(db, p, it.domain, lookup, clock),
  removeDomain: (p, it) => removeDomain(db, p, it.domain, clock),
  grantDomain: (p, it) => grantDomain(db, p, it.domain, { all: true }, clock),
  withdrawDomain: (p, it) => withdrawDomain(db, p, it.domain, { all: true }, clock),
  actFor: (p, it) => actFor(db, p, formatId("sub", it.subaccount), clock),
};
/** A subaccount may not even try these. */
const mastersOnly = ["close a subaccount", "grantDomain", "withdrawDomain"];

async function faultOf(run: Promise<unknown>): Promise<[string, string] | "done"> {
  try {
    await run;
    return "done";
  } catch (error) {
    if (error instanceof Fault) return [error.kind, error.message];
    throw error;
  }
}

test.each(Object.keys(verbs))("%s: what is another tenant's is as if it did not exist", async (name) => {
  const verb = verbs[name]!;
  const foreign = await belongings(globex, theirs);
  const none = Object.fromEntries(Object.keys(foreign).map((what) => [what, randomUUID()])) as Belongings;
  const before = await snapshot();
  const answer = await faultOf(verb(acme.principal, foreign));
  expect(answer[0]).toBe("not-found");
  expect(answer).toEqual(await faultOf(verb(acme.principal, none)));
  expect(await snapshot()).toEqual(before);
  // Negative control: its own master may.
  if (name !== "grantDomain" && name !== "withdrawDomain") {
    const own = await belongings(globex, await make.subaccount(globex));
    expect(await faultOf(verb(globex.principal, own))).toBe("done");
  }
});

test.each(Object.keys(verbs))("%s: a subaccount does not reach its siblings", async (name) => {
  const foreign = await belongings(acme, sibling);
  const answer = await faultOf(verbs[name]!(mine.principal, foreign));
  expect(answer[0]).toBe(mastersOnly.includes(name) ? "forbidden" : "not-found");
});

async function snapshot() {
  const tables = ["master", "subaccount", "credential", "api_key", "sender_domain", "domain_grant"] as const;
  return Promise.all(tables.map((table) => db.selectFrom(table).selectAll().execute()));
}

test("another master, and one's own seen from a subaccount, do not exist", async () => {
  const { id } = globex.master;
  const change = (principal: Principal) => changeMaster(db, principal, id, { name: "x" }, {}, clock);
  for (const principal of [acme.principal, theirs.principal]) {
    await expect(findMaster(db, principal, id, clock)).rejects.toMatchObject({ kind: "not-found" });
  }
  await expect(change(acme.principal)).rejects.toMatchObject({ kind: "not-found" });
  await expect(change(theirs.principal)).rejects.toMatchObject({ kind: "forbidden" });
  await expect(transitionMaster(db, globex.principal, id, "close", {}, clock)).rejects.toMatchObject({
    kind: "forbidden",
  });
});

test("an external id is looked up within the own master", async () => {
  const ref = { externalId: "theirs" };
  await expect(findSubaccount(db, acme.principal, ref, clock)).rejects.toMatchObject({ kind: "not-found" });
  await expect(findSubaccount(db, operator, ref, clock)).rejects.toMatchObject({ kind: "not-found" });
  expect((await findSubaccount(db, globex.principal, ref, clock)).id).toBe(theirs.subaccount.id);
});

test("references are ids or ext:, and nothing else", () => {
  expect(parseSubaccountRef(formatId("sub", mine.subaccount.id))).toBe(mine.subaccount.id);
  expect(parseSubaccountRef("ext:a:b")).toEqual({ externalId: "a:b" });
  for (const wrong of ["", "ext:", "sub_", formatId("mas", acme.master.id), mine.subaccount.id]) {
    expect(parseSubaccountRef(wrong)).toBeUndefined();
  }
});

test("acting for an account narrows the principal to it", async () => {
  const sub = formatId("sub", mine.subaccount.id);
  const ids = { masterId: acme.master.id, subaccountId: mine.subaccount.id };
  const reader = { ...acme.principal, scopes: ["read", "billing"] } as const;
  expect(await actFor(db, reader, sub, clock)).toEqual({
    kind: "subaccount",
    ...ids,
    keyId: null,
    scopes: ["read"],
    by: reader,
  });
  expect(await actFor(db, acme.principal, "ext:mine", clock)).toMatchObject({
    kind: "subaccount",
    ...ids,
    by: acme.principal,
  });
  expect(await actFor(db, operator, sub, clock)).toEqual({
    kind: "subaccount",
    ...ids,
    keyId: null,
    scopes: ["full"],
    operator: true,
  });
  const mas = await actFor(db, operator, formatId("mas", acme.master.id), clock);
  expect(mas).toEqual({ kind: "master", masterId: acme.master.id, keyId: null, scopes: ["full"], operator: true });
  expect(await actFor(db, mas, "ext:mine", clock)).toMatchObject({ kind: "subaccount", ...ids, operator: true });
  expect(await actFor(db, mine.principal, sub, clock)).toEqual(mine.principal);
  expect(await actFor(db, acme.principal, formatId("mas", acme.master.id), clock)).toEqual(acme.principal);
});

test("acting for an account that is not one's own finds nothing", async () => {
  const wrong: [Principal, string][] = [
    [acme.principal, formatId("sub", theirs.subaccount.id)],
    [acme.principal, formatId("mas", globex.master.id)],
    [acme.principal, "ext:theirs"],
    [acme.principal, "nonsense"],
    [acme.principal, "ext:\0"],
    [mine.principal, formatId("sub", sibling.subaccount.id)],
    [mine.principal, formatId("mas", acme.master.id)],
    [mine.principal, "ext:sibling"],
    [operator, "ext:mine"],
    [operator, formatId("sub", randomUUID() as never)],
  ];
  for (const [principal, account] of wrong) {
    await expect(actFor(db, principal, account, clock)).rejects.toMatchObject({ kind: "not-found" });
  }
});

test("who acts for a suspended account may read, and the operator may act", async () => {
  const shop = await make.subaccount(acme);
  await transitionSubaccount(db, operator, shop.subaccount.id, "suspend", {}, clock);
  const sub = formatId("sub", shop.subaccount.id);
  const master = await actFor(db, acme.principal, sub, clock);
  expect(master).toMatchObject({ frozen: "suspended" });
  await expect(createKey(db, master, { name: "k", scopes: ["full"] }, keyring, clock)).rejects.toMatchObject({
    kind: "forbidden",
  });
  const byOperator = await actFor(db, operator, sub, clock);
  expect((await createKey(db, byOperator, { name: "k", scopes: ["full"] }, keyring, clock)).apiKey.subaccountId).toBe(
    shop.subaccount.id,
  );
});
