/** Who owns a domain: the first who proves it, against a real DNS server. */
import { expect, test } from "vitest";
import { transitionMaster, transitionSubaccount } from "../../src/accounts/transition.ts";
import { listAudit } from "../../src/audit/list.ts";
import { addDomain } from "../../src/domains/add.ts";
import { findDomain, type SenderDomain } from "../../src/domains/domain.ts";
import { listDomains } from "../../src/domains/list.ts";
import { createTxtLookup } from "../../src/domains/lookup.ts";
import { recheckDomains } from "../../src/domains/recheck.ts";
import { removeDomain } from "../../src/domains/remove.ts";
import { settleProof, verifyDomain } from "../../src/domains/verify.ts";
import { createClock } from "../../src/platform/clock.ts";
import { testDatabase } from "../support/database.ts";
import { testDns } from "../support/dns.ts";
import { silentLog } from "../support/log.ts";
import { operator, type TestSubaccount, tenants } from "../support/tenants.ts";

const { db, clock } = await testDatabase();
const make = tenants({ db, clock });
const dns = await testDns();
const lookup = createTxtLookup([dns.server], 100);
const [acme, globex] = [await make.master(), await make.master()];
const HOUR = 3_600_000;
let n = 0;
const freshName = () => `customer-${++n}.example`;

const add = (shop: TestSubaccount, name: string) => addDomain(db, shop.principal, undefined, { name }, clock);
const verify = (shop: TestSubaccount, domain: SenderDomain) =>
  verifyDomain(db, shop.principal, domain.id, lookup, clock);
const publish = (...domains: SenderDomain[]) => {
  const [record] = domains[0]!.records;
  dns.set(record!.name, { TXT: domains.map((domain) => domain.records[0]!.value) });
};
const events = async (domain: SenderDomain) =>
  (await db.selectFrom("event").select(["type", "data"]).orderBy("at").execute())
    .filter(({ data }) => data.domain === domain.name)
    .map(({ type }) => type);

test("a claim says which record proves it, and is verified once that is found", async () => {
  const shop = await make.subaccount(acme);
  const claim = await add(shop, "Bücher-Laden.example");
  const name = "xn--bcher-laden-thb.example";
  expect(claim).toMatchObject({ name, state: "pending", verifiedAt: null });
  const value = expect.stringMatching(/^postmeter-verify=[a-z2-7]{32}$/);
  expect(claim.records).toEqual([{ type: "TXT", name: `_postmeter.${name}`, value, found: false }]);
  publish(claim);
  const verified = await verify(shop, claim);
  expect(verified).toMatchObject({
    state: "verified",
    checkedAt: expect.any(Date),
    verifiedAt: expect.any(Date),
    version: 2,
  });
  expect(verified.records[0]?.found).toBe(true);
  expect(await verify(shop, claim)).toMatchObject({ state: "verified", version: 2 });
  expect(await events(claim)).toEqual(["domain.verified"]);
  const audit = await listAudit(db, acme.principal, {
    subaccountId: shop.subaccount.id,
    action: "domain.verified",
    limit: 5,
  });
  expect(audit).toMatchObject([{ before: { state: "pending" }, after: { state: "verified" } }]);
});

test("a proof that is not found fails the claim, shows what was seen, and can be tried again", async () => {
  const shop = await make.subaccount(acme);
  const claim = await add(shop, freshName());
  dns.set(`_postmeter.${claim.name}`, { TXT: ["postmeter-verify=another"] });
  const failed = await verify(shop, claim);
  expect(failed).toMatchObject({ state: "failed", seen: ["postmeter-verify=another"] });
  expect(failed.records[0]?.found).toBe(false);
  await verify(shop, claim);
  publish(claim);
  expect(await verify(shop, claim)).toMatchObject({ state: "verified" });
  expect(await events(claim)).toEqual(["domain.failed", "domain.verified"]);
});

test("a DNS that does not answer changes nothing", async () => {
  const shop = await make.subaccount(acme);
  const claim = await add(shop, freshName());
  dns.set(`_postmeter.${claim.name}`, "silent");
  await expect(verify(shop, claim)).rejects.toMatchObject({ kind: "unavailable" });
  expect(await findDomain(db, shop.principal, claim.id)).toEqual(claim);
});

test("the token of one claim proves no other", async () => {
  const [a, b] = [await make.subaccount(acme), await make.subaccount(globex)];
  const name = freshName();
  const [first, second] = [await add(a, name), await add(b, name)];
  publish(first);
  expect(await verify(b, second)).toMatchObject({ state: "failed" });
  expect(await verify(a, first)).toMatchObject({ state: "verified" });
});

test("a claim reserves nothing: the first proof wins on the whole platform", async () => {
  const [a, b] = [await make.subaccount(acme), await make.subaccount(globex)];
  const name = freshName();
  const [first, second] = [await add(a, name), await add(b, name)];
  publish(first, second);
  expect(await verify(b, second)).toMatchObject({ state: "verified" });
  await expect(verify(a, first)).rejects.toMatchObject({ kind: "conflict" });
  expect(await findDomain(db, a.principal, first.id)).toMatchObject({ state: "pending" });
  await removeDomain(db, b.principal, second.id, clock);
  expect(await verify(a, first)).toMatchObject({ state: "verified" });
});

test("of ten accounts that prove one name at the same time one gets it", async () => {
  const name = freshName();
  const shops = await Promise.all(Array.from({ length: 10 }, () => make.subaccount(acme)));
  const claims = await Promise.all(shops.map((shop) => add(shop, name)));
  publish(...claims);
  const settled = await Promise.allSettled(shops.map((shop, i) => verify(shop, claims[i]!)));
  expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const one of settled) if (one.status === "rejected") expect(one.reason).toMatchObject({ kind: "conflict" });
});

test.each(["subaccount", "master"] as const)(
  "a holder whose %s is closed loses the name to a new proof, and only to a proof",
  async (closed) => {
    const initech = await make.master();
    const [a, b] = [await make.subaccount(initech), await make.subaccount(globex)];
    const name = freshName();
    const [first, second] = [await add(a, name), await add(b, name)];
    publish(first);
    await verify(a, first);
    if (closed === "subaccount") await transitionSubaccount(db, initech.principal, a.subaccount.id, "close", {}, clock);
    else await transitionMaster(db, operator, initech.master.id, "close", {}, clock);
    expect(await verify(b, second)).toMatchObject({ state: "failed" });
    expect(await findDomain(db, operator, first.id)).toMatchObject({ state: "verified" });
    publish(first, second);
    expect(await verify(b, second)).toMatchObject({ state: "verified" });
    expect(await findDomain(db, operator, first.id)).toMatchObject({ state: "failed", verifiedAt: null });
    const lost = await listAudit(db, initech.principal, { action: "domain.failed", limit: 5 });
    expect(lost).toMatchObject([{ actor: { kind: "system" }, subaccountId: a.subaccount.id }]);
  },
);

test("a suspended or disabled holder keeps the name", async () => {
  const [a, b] = [await make.subaccount(acme), await make.subaccount(globex)];
  const name = freshName();
  const [first, second] = [await add(a, name), await add(b, name)];
  publish(first, second);
  await verify(a, first);
  await transitionSubaccount(db, operator, a.subaccount.id, "suspend", {}, clock);
  await transitionSubaccount(db, acme.principal, a.subaccount.id, "disable", {}, clock);
  await expect(verify(b, second)).rejects.toMatchObject({ kind: "conflict" });
});

test("an account claims a name once, and a closed one claims none", async () => {
  const shop = await make.subaccount(acme);
  const name = freshName();
  await add(shop, name);
  await expect(add(shop, name)).rejects.toMatchObject({ kind: "conflict", details: [{ pointer: "/name" }] });
  await transitionSubaccount(db, acme.principal, shop.subaccount.id, "close", {}, clock);
  await expect(add(shop, freshName())).rejects.toMatchObject({ kind: "conflict" });
});

test("lists show one's own page by page, and removed ones no more", async () => {
  const shop = await make.subaccount(acme);
  const claims = [await add(shop, freshName()), await add(shop, freshName()), await add(shop, freshName())];
  const first = await listDomains(db, shop.principal, { limit: 2 }, clock);
  const rest = await listDomains(db, shop.principal, { limit: 2, after: first[1]!.id }, clock);
  expect([...first.slice(0, 2), ...rest].map(({ id }) => id).sort()).toEqual(claims.map(({ id }) => id).sort());
  await removeDomain(db, shop.principal, claims[0]!.id, clock);
  expect(await listDomains(db, shop.principal, { limit: 10 }, clock)).toHaveLength(2);
  expect(await listDomains(db, shop.principal, { limit: 10, states: ["verified"] }, clock)).toEqual([]);
});

/** The job at a later time: `true` when it looked at the domain. */
async function recheckAt(hours: number): Promise<void> {
  await recheckDomains({ db, lookup, clock: createClock(hours * HOUR), log: silentLog });
}

test("proofs are looked at again each day; one that is gone keeps its domain for 72 hours", async () => {
  const shop = await make.subaccount(acme);
  const claim = await add(shop, freshName());
  publish(claim);
  await verify(shop, claim);
  const state = async () => {
    const { state: shown, failingSince } = await findDomain(db, shop.principal, claim.id);
    return [shown, failingSince !== null];
  };
  dns.delete(`_postmeter.${claim.name}`);
  await recheckAt(23);
  expect(await state()).toEqual(["verified", false]);
  await recheckAt(25);
  expect(await state()).toEqual(["verified", true]);
  await recheckAt(25 + 49);
  expect(await state()).toEqual(["verified", true]);
  publish(claim);
  await recheckAt(25 + 74);
  expect(await state()).toEqual(["verified", false]);
  dns.delete(`_postmeter.${claim.name}`);
  await recheckAt(25 + 100);
  await recheckAt(25 + 100 + 73);
  expect(await state()).toEqual(["failed", false]);
  expect(await events(claim)).toEqual(["domain.verified", "domain.failed"]);
});

test("a recheck that gets no answer leaves the domain as it is, and looks at the others", async () => {
  const shop = await make.subaccount(acme);
  const [silent, fine] = [await add(shop, freshName()), await add(shop, freshName())];
  for (const claim of [silent, fine]) {
    publish(claim);
    await verify(shop, claim);
  }
  dns.set(`_postmeter.${silent.name}`, "servfail");
  const before = await findDomain(db, shop.principal, silent.id);
  await recheckAt(500);
  expect(await findDomain(db, shop.principal, silent.id)).toEqual(before);
  expect((await findDomain(db, shop.principal, fine.id)).checkedAt?.getTime()).toBeGreaterThan(Date.now() + 400 * HOUR);
});

test("a claim that is removed while the DNS is asked stays removed", async () => {
  const shop = await make.subaccount(acme);
  const claim = await add(shop, freshName());
  await removeDomain(db, shop.principal, claim.id, clock);
  const settled = settleProof(db, shop.principal, claim.id, [claim.records[0]!.value], clock);
  await expect(settled).rejects.toMatchObject({ kind: "not-found" });
});

test("who may only read neither claims, proves nor removes", async () => {
  const shop = await make.subaccount(acme);
  const claim = await add(shop, freshName());
  const reader = { ...shop.principal, scopes: ["read"] } as const;
  for (const verb of [
    addDomain(db, reader, undefined, { name: freshName() }, clock),
    verifyDomain(db, reader, claim.id, lookup, clock),
    removeDomain(db, reader, claim.id, clock),
  ]) {
    await expect(verb).rejects.toMatchObject({ kind: "forbidden" });
  }
});
