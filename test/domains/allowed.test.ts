/** Who may put which domain into a sender. Two processes, one database. */
import { afterAll, expect, test, vi } from "vitest";
import type { Subaccount } from "../../src/accounts/account.ts";
import { listenForChanges } from "../../src/accounts/changes.ts";
import type { Principal } from "../../src/accounts/principal.ts";
import { addDomain } from "../../src/domains/add.ts";
import { createSenderDomains, type Sender } from "../../src/domains/allowed.ts";
import type { SenderDomain } from "../../src/domains/domain.ts";
import { grantDomain, withdrawDomain } from "../../src/domains/grant.ts";
import { listDomains, listGrants } from "../../src/domains/list.ts";
import { removeDomain } from "../../src/domains/remove.ts";
import { verifyDomain } from "../../src/domains/verify.ts";
import { openDatabase } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { silentLog } from "../support/log.ts";
import { type TestMaster, tenants } from "../support/tenants.ts";

const { db, clock, url } = await testDatabase();
const make = tenants({ db, clock });
const [acme, globex] = [await make.master(), await make.master()];

async function startProcess() {
  const own = openDatabase({ url, max: 2 });
  let statements = 0;
  own.pool.on("acquire", () => statements++);
  const changes = await listenForChanges({ url, log: silentLog });
  afterAll(async () => {
    await changes[Symbol.asyncDispose]();
    await own[Symbol.asyncDispose]();
  });
  return { ...createSenderDomains({ db: own.db, changes }), statements: () => statements };
}
const [one, two] = [await startProcess(), await startProcess()];

const sender = ({ id, masterId, own }: Subaccount, senderPolicy: Sender["senderPolicy"] = "verified"): Sender => ({
  subaccountId: id,
  masterId,
  own,
  senderPolicy,
});

async function prove(principal: Principal, name: string): Promise<SenderDomain> {
  const claim = await addDomain(db, principal, undefined, { name }, clock);
  const [record] = claim.records;
  return verifyDomain(db, principal, claim.id, async () => ({ kind: "values", values: [record!.value] }), clock);
}
/** In both processes, once the news has come round. */
const settles = (account: Sender, domain: string, allowed: boolean) =>
  vi.waitFor(
    async () => {
      for (const process of [one, two]) expect(await process.allowed(account, domain)).toBe(allowed);
    },
    { timeout: 5000, interval: 5 },
  );

const own = async (of: TestMaster): Promise<Sender> => ({
  subaccountId: of.master.ownSubaccountId,
  masterId: of.master.id,
  own: true,
  senderPolicy: "verified",
});

test("a proved domain and its subdomains are its prover's, and nobody else's", async () => {
  const [a, sibling, b] = [await make.subaccount(acme), await make.subaccount(acme), await make.subaccount(globex)];
  await settles(sender(a.subaccount), "a.example", false);
  await prove(a.principal, "a.example");
  for (const domain of ["a.example", "mail.a.example", "x.y.a.example"]) {
    await settles(sender(a.subaccount), domain, true);
    for (const other of [sibling, b]) await settles(sender(other.subaccount), domain, false);
  }
  for (const domain of ["xa.example", "example", "a.example.evil.example", "", "[192.0.2.1]", "a.example a.example"]) {
    await settles(sender(a.subaccount), domain, false);
  }
});

test("a claim that is not proved allows nothing", async () => {
  const a = await make.subaccount(acme);
  await addDomain(db, a.principal, undefined, { name: "pending.example" }, clock);
  await settles(sender(a.subaccount), "pending.example", false);
});

test("a subdomain that another has proved is that one's, with what is under it", async () => {
  const [a, b] = [await make.subaccount(acme), await make.subaccount(globex)];
  await prove(a.principal, "big.example");
  await settles(sender(a.subaccount), "news.dept.big.example", true);
  await prove(b.principal, "dept.big.example");
  for (const domain of ["dept.big.example", "news.dept.big.example"]) {
    await settles(sender(a.subaccount), domain, false);
    await settles(sender(b.subaccount), domain, true);
  }
  await settles(sender(a.subaccount), "other.big.example", true);
  await settles(sender(b.subaccount), "big.example", false);
});

test("with the policy any, what nobody has proved is allowed, and what another has is not", async () => {
  const [a, b] = [await make.subaccount(acme), await make.subaccount(globex)];
  const any = sender(b.subaccount, "any");
  await settles(any, "free.example", true);
  await settles(any, "localhost", true);
  await prove(a.principal, "free.example");
  await settles(any, "free.example", false);
  await settles(any, "mail.free.example", false);
});

test("a removed domain is no longer allowed, in any process", async () => {
  const a = await make.subaccount(acme);
  const domain = await prove(a.principal, "gone.example");
  await settles(sender(a.subaccount), "mail.gone.example", true);
  await removeDomain(db, a.principal, domain.id, clock);
  await settles(sender(a.subaccount), "mail.gone.example", false);
});

test("a master's own domain is its own subaccount's, and of those it is granted to", async () => {
  const [a, b, c] = [await make.subaccount(acme), await make.subaccount(acme), await make.subaccount(globex)];
  const domain = await prove(acme.principal, "acme.example");
  await settles(await own(acme), "acme.example", true);
  await settles(await own(globex), "acme.example", false);
  await settles(sender(a.subaccount), "acme.example", false);
  const to = { subaccountIds: [a.subaccount.id] };
  await grantDomain(db, acme.principal, domain.id, to, clock);
  await settles(sender(a.subaccount), "mail.acme.example", true);
  await settles(sender(b.subaccount), "mail.acme.example", false);
  await grantDomain(db, acme.principal, domain.id, { all: true }, clock);
  await settles(sender(b.subaccount), "acme.example", true);
  await settles(sender(c.subaccount), "acme.example", false);
  await withdrawDomain(db, acme.principal, domain.id, { all: true }, clock);
  await settles(sender(b.subaccount), "acme.example", false);
  await settles(sender(a.subaccount), "acme.example", true);
  await withdrawDomain(db, acme.principal, domain.id, to, clock);
  await settles(sender(a.subaccount), "acme.example", false);
});

test("grants name own subaccounts only, of a master's own domain only, and repeating one changes nothing", async () => {
  const [a, foreign] = [await make.subaccount(acme), await make.subaccount(globex)];
  const domain = await prove(acme.principal, "grants.example");
  const grant = (...ids: Subaccount[]) =>
    grantDomain(db, acme.principal, domain.id, { subaccountIds: ids.map(({ id }) => id) }, clock);
  await expect(grant(a.subaccount, foreign.subaccount)).rejects.toMatchObject({
    kind: "invalid",
    details: [{ pointer: "/subaccount_ids/1" }],
  });
  await expect(grant()).rejects.toMatchObject({ kind: "invalid", details: [{ pointer: "/subaccount_ids" }] });
  expect(await listGrants(db, domain, { limit: 10 })).toEqual([]);
  const granted = await grant(a.subaccount);
  expect(granted.version).toBe(domain.version + 1);
  expect(await grant(a.subaccount)).toEqual(granted);
  expect(await listGrants(db, domain, { limit: 10 })).toEqual([a.subaccount.id]);
  const shops = await prove(a.principal, "shops.example");
  const wrong = grantDomain(db, acme.principal, shops.id, { all: true }, clock);
  await expect(wrong).rejects.toMatchObject({ kind: "conflict" });
});

test("a subaccount sees what it is granted, without the proof", async () => {
  const a = await make.subaccount(globex);
  const domain = await prove(globex.principal, "lent.example");
  const seen = async () =>
    (await listDomains(db, a.principal, { limit: 10 }, clock)).map(({ name, records }) => [name, records]);
  expect(await seen()).toEqual([]);
  await grantDomain(db, globex.principal, domain.id, { subaccountIds: [a.subaccount.id] }, clock);
  expect(await seen()).toEqual([["lent.example", []]]);
});

test("asked again, a domain costs no statement", async () => {
  const a = await make.subaccount(acme);
  await prove(a.principal, "warm.example");
  const process = await startProcess();
  await eventually(async () => {
    const before = process.statements();
    expect(await process.allowed(sender(a.subaccount), "warm.example")).toBe(true);
    expect(await process.allowed(sender(a.subaccount), "nobodys.example")).toBe(false);
    expect(process.statements()).toBe(before);
  });
});
