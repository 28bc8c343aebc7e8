/** Accounts that leave their master: who may, what goes along, and that each message is charged once to one payer. */
import { expect, test } from "vitest";
import { createAuthenticator } from "../../src/accounts/authenticate.ts";
import { listenForChanges } from "../../src/accounts/changes.ts";
import { findMaster, findSubaccount } from "../../src/accounts/find.ts";
import { createKey } from "../../src/accounts/keys.ts";
import type { Principal } from "../../src/accounts/principal.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { changeBrand } from "../../src/branding/change.ts";
import { acceptTransfer, approveTransfer, type TransferRef } from "../../src/lifecycle/accept-transfer.ts";
import { endTransfer, offerTransfer, requestRenewal } from "../../src/lifecycle/offer-transfer.ts";
import { findTransfer } from "../../src/lifecycle/transfer.ts";
import { closeMaster } from "../../src/metering/close.ts";
import { readMasterUsage, readUsage } from "../../src/metering/usage.ts";
import { verifyLedger } from "../../src/metering/verify.ts";
import { closeReview, openReview } from "../../src/reviews/open.ts";
import { holdQueue, releaseQueue } from "../../src/spool/change.ts";
import { testDatabase } from "../support/database.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { silentLog } from "../support/log.ts";
import { mutateFunction } from "../support/mutant.ts";
import { submissionOf, testAcceptor } from "../support/submission.ts";
import { operator, type TestMaster, tenants } from "../support/tenants.ts";

const DAY_MS = 86_400_000;
const config = {
  publicUrl: "https://relay.example",
  systemFrom: "postmeter@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: DAY_MS,
};

async function world() {
  const database = await testDatabase({ lockTimeoutMs: 10_000 });
  const { db, clock } = database;
  const make = tenants(database);
  const [acme, beta] = [await make.master({ name: "Acme" }), await make.master({ name: "Beta", allowance: 1000 })];
  const shop = await make.subaccount(acme, {
    ownerName: "Shop owner",
    ownerEmail: "o@shop.example",
    notes: "Acme's own",
  });
  const { id } = shop.subaccount;
  const { keyring } = make;
  const account = (of: TestMaster, subaccountId = id) => ({ masterId: of.master.id, subaccountId });
  const offer = (told = {}) =>
    offerTransfer(db, acme.principal, { subaccountId: id, ...told }, { keyring, clock, config });
  const accept = (principal: Principal, ref: TransferRef, monthlyLimit: number | null = 50) =>
    acceptTransfer(db, principal, ref, { monthlyLimit }, keyring, clock);
  return { database, db, clock, make, keyring, acme, beta, shop, id, account, offer, accept };
}

test("an account moves with its owner and starts at zero; what was, and what was its master's, stays", async () => {
  const { database, db, clock, keyring, acme, beta, shop, id, account, offer, accept } = await world();
  await createKey(db, shop.principal, { name: "own", scopes: ["read"] }, keyring, clock);
  expect(await acceptUnits(database, account(acme), 7)).toMatchObject({ kind: "accepted" });
  await changeBrand(db, acme.principal, id, { productName: "Acme's brand", host: "shop.acme.example" }, {}, clock);
  const { token, transfer } = await offer();
  const done = await accept(beta.principal, { token });
  expect(done).toMatchObject({ id: transfer.id, state: "done", toMasterId: beta.master.id });
  expect(await db.selectFrom("brand").selectAll().execute()).toEqual([]);
  const moved = await findSubaccount(db, beta.principal, done.movedTo!, clock);
  expect(moved).toMatchObject({
    name: "Shop owner",
    ownerEmail: "o@shop.example",
    slug: shop.subaccount.slug,
    monthlyLimit: 50,
    notes: null,
    state: "active",
  });
  expect(await findSubaccount(db, acme.principal, id, clock)).toMatchObject({ state: "archived", notes: "Acme's own" });
  await expect(findSubaccount(db, acme.principal, moved.id, clock)).rejects.toMatchObject({ kind: "not-found" });
  await expect(findSubaccount(db, beta.principal, id, clock)).rejects.toMatchObject({ kind: "not-found" });
  expect(await acceptUnits(database, account(acme), 1)).toEqual({ kind: "closed" });
  expect(await acceptUnits(database, account(beta, moved.id), 3)).toMatchObject({ kind: "accepted" });
  const used = async (of: TestMaster, sub: typeof id) => [
    (await readMasterUsage(db, of.principal, undefined, undefined, clock)).used,
    (await readUsage(db, of.principal, sub, undefined, clock)).used,
  ];
  expect([await used(acme, id), await used(beta, moved.id)]).toEqual([
    [7, 7],
    [3, 3],
  ]);
  const keys = await database.pool.query(
    "select subaccount_id, master_id from api_key where subaccount_id is not null",
  );
  expect(keys.rows).toEqual([{ subaccount_id: moved.id, master_id: beta.master.id }]);
  await expect(transitionSubaccount(db, acme.principal, id, "reopen", {}, clock)).rejects.toThrow("moved away");
  expect(await verifyLedger(db, clock)).toMatchObject({ ok: true, found: 0 });
});

test("its password opens the new account at once, and a session of before sends no more", async () => {
  const { database, db, clock, keyring, beta, shop, offer, accept } = await world();
  await using changes = await listenForChanges({ url: database.url, log: silentLog });
  const authenticator = createAuthenticator({ db, keyring, clock, changes, operatorKey: "", log: silentLog });
  const before = await authenticator.smtp(shop.username, shop.password, "192.0.2.1");
  if (before.kind !== "sending") throw new Error(before.kind);
  const { movedTo } = await accept(beta.principal, { token: (await offer()).token });
  await expect.poll(async () => (await authenticator.sending(before.principal)).kind).toBe("revoked");
  expect(await authenticator.smtp(shop.username, shop.password, "192.0.2.1")).toMatchObject({
    kind: "sending",
    subaccountId: movedTo,
    masterId: beta.master.id,
  });
});

/** A hundred messages that are sent while it moves; one that is refused is sent again in the name that is then known. */
async function sendWhileMoving(told: Awaited<ReturnType<typeof world>>) {
  const { database, acme, beta, account, offer, accept } = told;
  const acceptor = testAcceptor(database);
  await acceptUnits(database, account(acme), 1); // the rows are there
  const { token } = await offer();
  let known = account(acme);
  const send = async (n: number) => {
    for (let tries = 0; tries < 200; tries += 1) {
      const answer = await acceptor.accept(submissionOf(known, { subject: String(n) }));
      if (answer.kind === "accepted") return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    throw new Error("never accepted");
  };
  const first = Array.from({ length: 50 }, (_, n) => send(n));
  const moving = accept(beta.principal, { token }, 1000).then(({ movedTo }) => {
    known = account(beta, movedTo!);
  });
  await Promise.all([...first, ...Array.from({ length: 50 }, (_, n) => send(50 + n)), moving]);
  await acceptor.idle();
  return known;
}

async function charged({ database, acme, beta }: Awaited<ReturnType<typeof world>>): Promise<number> {
  const { rows } = await database.pool.query<{ units: string }>(
    "select sum(used) as units from usage where account_id = any($1)",
    [[acme.master.id, beta.master.id]],
  );
  return Number(rows[0]?.units);
}

test("of a hundred messages that are sent while it moves each is charged once, to one of both", async () => {
  const told = await world();
  const now = await sendWhileMoving(told);
  const { database, db, clock, acme, account } = told;
  expect(await charged(told)).toBe(101);
  const { rows } = await database.pool.query(
    "select subject, count(*)::int as n from message where kind = 'submitted' and subject ~ '^[0-9]+$' group by 1",
  );
  expect(rows).toHaveLength(100);
  expect(rows.every(({ n }) => n === 1)).toBe(true);
  const answer = await acceptUnits(database, account(acme), 1);
  expect(answer).toEqual({ kind: "closed" });
  expect(await acceptUnits(database, now, 1)).toMatchObject({ kind: "accepted" });
  expect(await verifyLedger(db, clock)).toMatchObject({ ok: true, found: 0 });
});

test("control: without the rows that close, the old master is charged for what comes after the move", async () => {
  const told = await world();
  const { database, acme, beta, account, offer, accept } = told;
  await acceptUnits(database, account(acme), 1);
  await mutateFunction(database, "sync_usage", { from: "open = t.open,", to: "open = true," });
  await accept(beta.principal, { token: (await offer()).token });
  expect(await acceptUnits(database, account(acme), 1)).toMatchObject({ kind: "accepted" });
});

test("a token is good once: of twenty who bring it at the same time one gets the account", async () => {
  const { make, offer, accept, db, clock, acme } = await world();
  const masters = await Promise.all(Array.from({ length: 20 }, () => make.master()));
  const { token, transfer } = await offer();
  const answers = await Promise.allSettled(masters.map(({ principal }) => accept(principal, { token })));
  const kinds = answers.map((answer) => (answer.status === "fulfilled" ? "done" : answer.reason.kind));
  expect(kinds.filter((kind) => kind === "done")).toHaveLength(1);
  expect(new Set(kinds)).toEqual(new Set(["done", "not-found"]));
  await expect(accept(masters[0]!.principal, { token: `pm_tra_${"a".repeat(32)}` })).rejects.toMatchObject({
    kind: "not-found",
  });
  expect(await findTransfer(db, acme.principal, transfer.id, clock)).toMatchObject({ state: "done" });
});

test("strangers see nothing of it, the offerer can't accept, and who is named needs no token", async () => {
  const { make, acme, beta, offer, accept, shop } = await world();
  const { token, transfer } = await offer({ toMaster: beta.master.id });
  const stranger = await make.master();
  for (const ref of [{ token }, { id: transfer.id }]) {
    await expect(accept(stranger.principal, ref)).rejects.toMatchObject({ kind: "not-found" });
    await expect(accept(acme.principal, ref)).rejects.toMatchObject({ kind: "forbidden" });
    await expect(accept(shop.principal, ref)).rejects.toMatchObject({ kind: "not-found" });
  }
  await expect(accept(beta.principal, { id: transfer.id }, null)).resolves.toMatchObject({ state: "done" });
  await expect(accept(beta.principal, { id: transfer.id })).rejects.toMatchObject({ kind: "conflict" });
});

test("withdrawn, declined and lapsed offers are taken by nobody, and make way for another", async () => {
  const { database, db, clock, keyring, acme, beta, id, offer, accept } = await world();
  const first = await offer({ toMaster: beta.master.id });
  await expect(offer()).rejects.toMatchObject({ kind: "conflict" });
  await expect(endTransfer(db, beta.principal, first.transfer.id, "withdraw", clock)).rejects.toMatchObject({
    kind: "forbidden",
  });
  await endTransfer(db, acme.principal, first.transfer.id, "withdraw", clock);
  await expect(accept(beta.principal, { token: first.token })).rejects.toMatchObject({ kind: "not-found" });
  const second = await offer({ toMaster: beta.master.id });
  await endTransfer(db, beta.principal, second.transfer.id, "decline", clock);
  await expect(accept(beta.principal, { id: second.transfer.id })).rejects.toThrow("declined");
  const third = await offer();
  await using then = await later(database, 7 * DAY_MS + 60_000);
  const late = acceptTransfer(
    then.db,
    beta.principal,
    { token: third.token },
    { monthlyLimit: 1 },
    keyring,
    then.clock,
  );
  await expect(late).rejects.toThrow("expired");
  await offerTransfer(then.db, acme.principal, { subaccountId: id }, { keyring, clock: then.clock, config });
});

test("a suspended account can't move, also when it was suspended after the offer", async () => {
  const { db, clock, acme, beta, id, offer, accept } = await world();
  const { token } = await offer();
  await transitionSubaccount(db, operator, id, "suspend", {}, clock);
  await expect(accept(beta.principal, { token })).rejects.toMatchObject({ kind: "conflict" });
  await expect(offer()).rejects.toThrow("suspended account");
  const own = { subaccountId: acme.master.ownSubaccountId };
  await expect(offer(own)).rejects.toMatchObject({ kind: "conflict" });
});

test("what the operator looks into is not left behind: neither under a query, nor with a queue that is held", async () => {
  const { db, clock, acme, beta, id, make, offer, accept, keyring } = await world();
  const { token } = await offer();
  const review = await openReview(db, operator, { subaccount: id, question: "Why so many?", hold: false }, clock);
  await expect(accept(beta.principal, { token })).rejects.toThrow("looks into");
  await closeReview(db, operator, review.id, { decision: "release" }, clock);
  await holdQueue(db, operator, id, clock);
  await expect(accept(beta.principal, { token })).rejects.toThrow("looks into");
  await releaseQueue(db, operator, id, clock);
  await accept(beta.principal, { token });
  const other = await make.subaccount(acme);
  await openReview(db, operator, { subaccount: other.subaccount.id, question: "Why?", hold: true }, clock);
  const leaving = { subaccountId: other.subaccount.id, standalone: true };
  await expect(offerTransfer(db, acme.principal, leaving, { keyring, clock, config })).rejects.toThrow("looks into");
  // Whoever may not know of it is not told.
  const own = offerTransfer(db, other.principal, leaving, { keyring, clock, config });
  await expect(own).rejects.toThrow("can't move at present");
});

test("a limit that the new master can't give is refused, and the account stays", async () => {
  const { db, clock, acme, beta, id, offer, accept } = await world();
  const { token } = await offer();
  await expect(accept(beta.principal, { token }, 1001)).rejects.toMatchObject({
    details: [{ pointer: "/monthly_limit" }],
  });
  expect(await findSubaccount(db, acme.principal, id, clock)).toMatchObject({ state: "active" });
  await accept(beta.principal, { token }, 1000);
});

test("an account that asks to stand alone is let go by its master, and moves when the operator approves", async () => {
  const { database, db, clock, keyring, acme, beta, shop, id, accept } = await world();
  const asked = await offerTransfer(
    db,
    shop.principal,
    { subaccountId: id, standalone: true },
    { keyring, clock, config },
  );
  await expect(accept(shop.principal, { id: asked.transfer.id })).rejects.toMatchObject({ kind: "forbidden" });
  await expect(accept(beta.principal, { token: asked.token })).rejects.toMatchObject({ kind: "not-found" });
  expect(await accept(acme.principal, { id: asked.transfer.id })).toMatchObject({ state: "accepted" });
  expect(await findSubaccount(db, acme.principal, id, clock)).toMatchObject({ state: "active" });
  const approve = (principal: Principal) =>
    approveTransfer(db, principal, asked.transfer.id, { allowance: 20 }, keyring, clock);
  await expect(approve(acme.principal)).rejects.toMatchObject({ kind: "forbidden" });
  const { master, transfer } = await approve(operator);
  expect(transfer).toMatchObject({ state: "done", movedTo: master.ownSubaccountId });
  expect(master).toMatchObject({ name: "Shop owner", allowance: 20, notificationEmails: ["o@shop.example"] });
  const own = { masterId: master.id, subaccountId: master.ownSubaccountId };
  expect(await acceptUnits(database, own, 20)).toMatchObject({ kind: "accepted" });
  expect(await acceptUnits(database, own, 1)).toMatchObject({ kind: "over", account: "master" });
  const { rows } = await database.pool.query("select master_id from credential where username = $1", [shop.username]);
  expect(rows).toEqual([{ master_id: master.id }]);
});

test("the owner of a closed account goes on as one of its own without the master, and only of a closed one", async () => {
  const { db, clock, keyring, acme, shop, id } = await world();
  await expect(requestRenewal(db, operator, id, clock)).rejects.toMatchObject({ kind: "conflict" });
  await transitionSubaccount(db, acme.principal, id, "close", {}, clock);
  await expect(requestRenewal(db, acme.principal, id, clock)).rejects.toMatchObject({ kind: "forbidden" });
  const { id: asked } = await requestRenewal(db, shop.principal, id, clock);
  await expect(requestRenewal(db, shop.principal, id, clock)).rejects.toMatchObject({ kind: "conflict" });
  const { master } = await approveTransfer(db, operator, asked, { allowance: null }, keyring, clock);
  expect(await findMaster(db, operator, master.id, clock)).toMatchObject({ state: "active" });
});

test("the old master's statement holds what was sent under it, and closes exactly", async () => {
  const { database, acme, beta, account, offer, accept } = await world();
  await acceptUnits(database, account(acme), 9);
  const { movedTo } = await accept(beta.principal, { token: (await offer()).token });
  await acceptUnits(database, account(beta, movedTo!), 4);
  await using then = await later(database, 32 * DAY_MS);
  const [old] = await closeMaster(then.db, acme.master.id, { clock: then.clock });
  const [fresh] = await closeMaster(then.db, beta.master.id, { clock: then.clock });
  expect([old?.units, fresh?.units]).toEqual([9, 4]);
  expect(await verifyLedger(then.db, then.clock)).toMatchObject({ ok: true, found: 0 });
});

test("an offer is told to the side that takes it, with the link, and shows it nothing of the other's", async () => {
  const { database, acme, beta, shop, id, keyring, clock, offer } = await world();
  const told = async () => {
    const { rows } = await database.pool.query(
      "select convert_from(b.bytes, 'UTF8') as text, r.address from message m join body b on b.message_id = m.id join recipient r on r.message_id = m.id order by m.id",
    );
    return rows.at(-1) as { text: string; address: string };
  };
  const first = await offer({ toMaster: beta.master.id });
  const toMaster = await told();
  expect(toMaster.address).toBe(beta.master.notificationEmails[0]);
  expect(toMaster.text.replace(/=\r\n/g, "")).toContain(`https://relay.example/transfer/${first.token}`);
  expect(toMaster.text).not.toMatch(/Acme|Shop owner/);
  await endTransfer(database.db, acme.principal, first.transfer.id, "withdraw", clock);
  const second = await offer({ standalone: true });
  expect((await told()).address).toBe("o@shop.example");
  await endTransfer(database.db, acme.principal, second.transfer.id, "withdraw", clock);
  const asked = { subaccountId: id, standalone: true };
  await offerTransfer(database.db, shop.principal, asked, { keyring, clock, config });
  expect((await told()).address).toBe(acme.master.notificationEmails[0]);
});
