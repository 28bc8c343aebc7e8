/** Creating masters and subaccounts. */
import { expect, test } from "vitest";
import { createMaster, type MasterInput } from "../../src/accounts/create-master.ts";
import { createSubaccount, type SubaccountInput } from "../../src/accounts/create-subaccount.ts";
import { findSubaccount } from "../../src/accounts/find.ts";
import { listAudit } from "../../src/audit/list.ts";
import { testDatabase } from "../support/database.ts";
import { operator, tenants } from "../support/tenants.ts";

const { db, clock } = await testDatabase();
const { keyring, ...make } = tenants({ db, clock });

test("a master comes with its own subaccount, which has no limit, and with one key", async () => {
  const { master, key } = await make.master({ name: "Acme Hosting", allowance: 1000 });
  expect(master).toMatchObject({ name: "Acme Hosting", state: "active", allowance: 1000, overage: "block" });
  expect(master).toMatchObject({ ceilingFactor: 3, senderPolicy: "verified", alertThresholds: [80, 90, 95, 100] });
  expect(master.calendar).toEqual({ anchorDay: 1, timeZone: "UTC" });
  expect(key).toMatch(/^pm_live_[a-z2-7]{32}$/);
  const own = await findSubaccount(db, operator, master.ownSubaccountId, clock);
  expect(own).toMatchObject({ own: true, monthlyLimit: null, state: "active" });
});

test("a subaccount is active and comes with one credential of 160 random bits", async () => {
  const acme = await make.master();
  const { subaccount, credential } = await createSubaccount(
    db,
    acme.principal,
    { name: "Corner Shop", monthlyLimit: 100, externalId: "crm-17", metadata: { tier: 2 } },
    keyring,
    clock,
  );
  expect(subaccount).toMatchObject({ name: "Corner Shop", state: "active", monthlyLimit: 100, own: false });
  expect(subaccount).toMatchObject({ externalId: "crm-17", metadata: { tier: 2 }, version: 1 });
  expect(credential?.password).toMatch(/^[a-z2-7]{32}$/);
  expect(credential?.credential.username).toMatch(/^pm-[a-z2-7]{16}$/);
});

test("neither passwords nor keys are stored or audited as they are", async () => {
  const acme = await make.master();
  const shop = await make.subaccount(acme);
  const tables = ["credential", "api_key", "audit_entry"] as const;
  for (const table of tables) {
    const rows = JSON.stringify(await db.selectFrom(table).selectAll().execute());
    expect(rows).not.toContain(shop.password);
    expect(rows).not.toContain(acme.key);
  }
});

test("an invited subaccount is pending and has no credential", async () => {
  const acme = await make.master();
  const invite = { name: "Shop", monthlyLimit: 10, onboarding: "invite", ownerEmail: "o@shop.example" } as const;
  const { subaccount, credential } = await createSubaccount(db, acme.principal, invite, keyring, clock);
  expect([subaccount.state, credential]).toEqual(["pending", null]);
  const nobody = createSubaccount(db, acme.principal, { ...invite, ownerEmail: null }, keyring, clock);
  await expect(nobody).rejects.toMatchObject({ kind: "invalid", details: [{ pointer: "/owner_email" }] });
});

test("slugs are made of the name, and differ on the whole platform", async () => {
  const [acme, other] = [await make.master(), await make.master()];
  const first = await make.subaccount(acme, { name: "Café Zürich & Söhne" });
  const second = await make.subaccount(other, { name: "Café Zürich & Söhne" });
  const nameless = await make.subaccount(acme, { name: "日本" });
  expect(first.subaccount.slug).toBe("cafe-zurich-sohne");
  expect(second.subaccount.slug).toMatch(/^cafe-zurich-sohne-[a-z2-7]{8}$/);
  expect(nameless.subaccount.slug).toMatch(/^account/);
  const taken = make.subaccount(other, { slug: "cafe-zurich-sohne" });
  await expect(taken).rejects.toMatchObject({ kind: "conflict", details: [{ pointer: "/slug" }] });
});

test("twenty subaccounts of one name at the same time get twenty slugs", async () => {
  const acme = await make.master();
  const made = await Promise.all(Array.from({ length: 20 }, () => make.subaccount(acme, { name: "Same" })));
  expect(new Set(made.map(({ subaccount }) => subaccount.slug)).size).toBe(20);
});

test("an external id is unique within its master, not beyond", async () => {
  const [acme, other] = [await make.master(), await make.master()];
  await make.subaccount(acme, { externalId: "7" });
  await make.subaccount(other, { externalId: "7" });
  const again = make.subaccount(acme, { externalId: "7" });
  await expect(again).rejects.toMatchObject({ kind: "conflict", details: [{ pointer: "/external_id" }] });
});

test.each([
  [{ name: " " }, "/name"],
  [{ name: "a\nb" }, "/name"],
  [{ name: "x".repeat(201) }, "/name"],
  [{ monthlyLimit: -1 }, "/monthly_limit"],
  [{ monthlyLimit: 1.5 }, "/monthly_limit"],
  [{ monthlyLimit: Number.NaN }, "/monthly_limit"],
  [{ monthlyLimit: 2 ** 53 }, "/monthly_limit"],
  [{ ownerEmail: "nobody" }, "/owner_email"],
  [{ ownerEmail: "a@[127.0.0.1]" }, "/owner_email"],
  [{ notificationEmails: ["a@b.example", { email: "c@d.example", topics: ["gossip"] }] }, "/notification_emails"],
  [{ notificationEmails: [{ email: "c@d.example" }] }, "/notification_emails"],
  [{ notificationEmails: [] }, "/notification_emails"],
  [{ alertThresholds: [90, 80] }, "/alert_thresholds"],
  [{ alertThresholds: [80, 80] }, "/alert_thresholds"],
  [{ alertThresholds: [0] }, "/alert_thresholds"],
  [{ alertThresholds: [101] }, "/alert_thresholds"],
  [{ alertThresholds: [] }, "/alert_thresholds"],
  [{ timeZone: "Mars/Base" }, "/time_zone"],
  [{ timeZone: "+01:00" }, "/time_zone"],
  [{ language: "not a tag" }, "/language"],
  [{ slug: "-x" }, "/slug"],
  [{ metadata: { note: "a\0b" } }, "/metadata"],
  [{ metadata: { note: "\ud800" } }, "/metadata"],
  [{ metadata: { big: "x".repeat(20_000) } }, "/metadata"],
  [{ metadata: [] }, "/metadata"],
  [{ notes: "\0" }, "/notes"],
  [{ expiresAt: new Date(Number.NaN) }, "/expires_at"],
] as [Partial<SubaccountInput>, string][])(
  "a subaccount with %j is refused, and the member is named",
  async (input, pointer) => {
    const acme = await make.master();
    await expect(make.subaccount(acme, input)).rejects.toMatchObject({ kind: "invalid", details: [{ pointer }] });
  },
);

test.each([
  [{ notificationEmails: [] }, "/notification_emails"],
  [{ allowance: -1 }, "/allowance"],
  [{ anchorDay: 0 }, "/anchor_day"],
  [{ anchorDay: 32 }, "/anchor_day"],
  [{ timeZone: "Nowhere" }, "/time_zone"],
  [{ ceilingFactor: 0.5 }, "/ceiling_factor"],
  [{ ceilingFactor: 1.234 }, "/ceiling_factor"],
] as [Partial<MasterInput>, string][])(
  "a master with %j is refused, and the member is named",
  async (input, pointer) => {
    await expect(make.master(input)).rejects.toMatchObject({ kind: "invalid", details: [{ pointer }] });
  },
);

test("all mistakes are named at once", async () => {
  const acme = await make.master();
  const bad = make.subaccount(acme, { name: "", timeZone: "x", alertThresholds: [] });
  const details = [{ pointer: "/name" }, { pointer: "/alert_thresholds" }, { pointer: "/time_zone" }];
  await expect(bad).rejects.toMatchObject({ kind: "invalid", details });
});

test("only the operator makes masters, and no subaccount makes subaccounts", async () => {
  const acme = await make.master();
  const shop = await make.subaccount(acme);
  const input = { name: "X", allowance: null, notificationEmails: ["a@b.example"] };
  await expect(createMaster(db, acme.principal, input, keyring, clock)).rejects.toMatchObject({ kind: "forbidden" });
  const nested = createSubaccount(db, shop.principal, { name: "X", monthlyLimit: 1 }, keyring, clock);
  await expect(nested).rejects.toMatchObject({ kind: "forbidden" });
  const reader = { ...acme.principal, scopes: ["read"] } as const;
  const read = createSubaccount(db, reader, { name: "X", monthlyLimit: 1 }, keyring, clock);
  await expect(read).rejects.toMatchObject({ kind: "forbidden" });
});

test("the audit log says who created what", async () => {
  const acme = await make.master();
  const { subaccount } = await make.subaccount(acme, { name: "Corner Shop" });
  const entries = await listAudit(db, acme.principal, { subaccountId: subaccount.id, limit: 10 });
  expect(entries.map(({ action }) => action).sort()).toEqual(["credential.created", "subaccount.created"]);
  const created = entries.find(({ action }) => action === "subaccount.created");
  expect(created).toMatchObject({ before: null, after: { name: "Corner Shop", monthly_limit: 100 } });
  expect(created?.actor).toMatchObject({ kind: "master", id: expect.stringMatching(/^key_/), actingFor: null });
});
