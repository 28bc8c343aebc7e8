/** Who shows himself as what: inheritance, proof of names, and that nobody takes another's. */

import { sql } from "kysely";
import { beforeEach, describe, expect, test } from "vitest";
import { brandOf, ourBrand } from "../../src/branding/brand.ts";
import { changeBrand } from "../../src/branding/change.ts";
import { removeCertificate, setCertificate } from "../../src/branding/change-certificate.ts";
import type { BrandDetails } from "../../src/branding/fields.ts";
import { findBrand, readLogo } from "../../src/branding/find.ts";
import { forgetBrand } from "../../src/branding/forget.ts";
import { addDomain } from "../../src/domains/add.ts";
import { removeDomain } from "../../src/domains/remove.ts";
import { Fault } from "../../src/platform/errors.ts";
import { brandRow, dataUrl, fail, png, prove } from "../support/brands.ts";
import { certificateFor, fingerprintOf } from "../support/certificates.ts";
import { testDatabase } from "../support/database.ts";
import { operator, type TestMaster, type TestSubaccount, tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, clock } = database;
const people = tenants(database);
const { keyring } = people;
const ours = { publicUrl: "https://relay.example", systemFrom: "postmeter@relay.example" };
let acme: TestMaster;
let shop: TestSubaccount;
let other: TestMaster;

beforeEach(async () => {
  await db.deleteFrom("sender_domain").execute();
  await db.deleteFrom("brand").execute();
  acme = await people.master();
  shop = await people.subaccount(acme);
  other = await people.master({ name: "Other" });
});

const change = (patch: BrandDetails, of: TestMaster = acme) =>
  changeBrand(db, of.principal, undefined, patch, {}, clock);
const changeShop = (patch: BrandDetails) => changeBrand(db, acme.principal, shop.subaccount.id, patch, {}, clock);
const ofAcme = () => brandOf(db, { masterId: acme.master.id, subaccountId: null }, ours);
const ofShop = () => brandOf(db, { masterId: acme.master.id, subaccountId: shop.subaccount.id }, ours);
const shown = () => findBrand(db, acme.principal, shop.subaccount.id, clock, ours.systemFrom);

async function fault(work: Promise<unknown>) {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof Fault)) throw error ?? new Error("it was taken");
  return [error.kind, error.details[0]?.pointer ?? null];
}

describe("a brand", () => {
  test("is ours where nobody has chosen", async () => {
    expect(await ofShop()).toEqual(ourBrand(ours));
    expect((await shown()).version).toBe(0);
  });

  test("is inherited member by member, and taken back by null", async () => {
    await change({
      productName: "Acme Mail",
      colour: "#AABBCC",
      supportAddress: "help@acme.example",
      footer: "Acme Ltd.",
    });
    await changeShop({ productName: "Shop Mail" });
    expect(await ofShop()).toMatchObject({ productName: "Shop Mail", colour: "#aabbcc", footer: "Acme Ltd." });
    const { effective } = await shown();
    expect(effective.productName).toEqual({ value: "Shop Mail", from: "subaccount" });
    expect(effective.colour).toEqual({ value: "#aabbcc", from: "master" });
    expect(effective.senderAddress).toEqual({ value: ours.systemFrom, from: "default" });
    await changeShop({ productName: null });
    expect((await shown()).effective.productName).toEqual({ value: "Acme Mail", from: "master" });
    expect(await ofAcme()).toMatchObject({ productName: "Acme Mail", supportAddress: "help@acme.example" });
  });

  test("of one master is not another's", async () => {
    await change({ productName: "Acme Mail" });
    expect(await brandOf(db, { masterId: other.master.id, subaccountId: null }, ours)).toEqual(ourBrand(ours));
    expect(await brandOf(db, { masterId: other.master.id, subaccountId: shop.subaccount.id }, ours)).toEqual(
      ourBrand(ours),
    );
  });

  test("has a logo with an address, which another one replaces", async () => {
    const logo = dataUrl("image/png", png());
    await change({ logo });
    expect((await ofShop()).logoUrl).toMatch(/^https:\/\/relay\.example\/logo\/mas_/);
    await changeShop({ logo });
    expect((await ofShop()).logoUrl).toMatch(/\/logo\/sub_/);
    expect((await readLogo(db, shop.subaccount.id))?.bytes.equals(png())).toBe(true);
    await changeShop({ logo: null });
    expect(await readLogo(db, shop.subaccount.id)).toBeUndefined();
  });

  test("is changed by its master and the operator, not by the subaccount or a stranger", async () => {
    const { id } = shop.subaccount;
    expect(await fault(changeBrand(db, shop.principal, undefined, { footer: "x" }, {}, clock))).toEqual([
      "forbidden",
      null,
    ]);
    expect(await fault(changeBrand(db, other.principal, id, { footer: "x" }, {}, clock))).toEqual(["not-found", null]);
    const narrowed = { ...shop.principal, by: acme.principal };
    await changeBrand(db, narrowed, undefined, { footer: "by its master" }, {}, clock);
    await changeBrand(db, operator, id, { colour: "#000000" }, {}, clock);
    expect(await ofShop()).toMatchObject({ footer: "by its master", colour: "#000000" });
  });

  test("changes once per version, and is written down with what differs", async () => {
    const first = { version: 0 };
    await changeBrand(
      db,
      acme.principal,
      undefined,
      { productName: "One", logo: dataUrl("image/png", png()) },
      first,
      clock,
    );
    expect(await fault(changeBrand(db, acme.principal, undefined, { footer: "x" }, first, clock))).toEqual([
      "precondition",
      null,
    ]);
    await change({ productName: "One" });
    expect((await brandRow(database, acme.master.id))?.version).toBe(1);
    const entries = await db.selectFrom("audit_entry").selectAll().where("master_id", "=", acme.master.id).execute();
    const [entry] = entries.filter(({ action }) => action === "branding.changed");
    expect(entry?.before).toEqual({ product_name: null, logo: null });
    expect(entry?.after).toEqual({ product_name: "One", logo: { type: "image/png", sizeBytes: png().length } });
  });

  test.each([
    [{ colour: "red" }, "/colour"],
    [{ colour: "#12345g" }, "/colour"],
    [{ colour: "#123456;background:url(x)" }, "/colour"],
    [{ host: "acme" }, "/host"],
    [{ host: "10.0.0.1" }, "/host"],
    [{ host: "mail.acme.example/x" }, "/host"],
    [{ host: "mail.acme.example:8080" }, "/host"],
    [{ host: "*.acme.example" }, "/host"],
    [{ productName: "two\r\nlines" }, "/product_name"],
    [{ senderAddress: "a@b@acme.example, x" }, "/sender_address"],
    [{ senderAddress: "grüße@acme.example" }, "/sender_address"],
    [{ senderAddress: "x@[10.0.0.1]" }, "/sender_address"],
    [{ supportAddress: "help@acme.example\r\nBcc: x@y.example" }, "/support_address"],
    [{ footer: "a\0b" }, "/footer"],
    [{ logo: "data:image/png;base64,AAAA" }, "/logo"],
  ])("of %j is refused", async (patch, pointer) => {
    expect(await fault(change(patch))).toEqual(["invalid", pointer]);
  });
});

test("a subaccount that leaves is shown in no brand of its master's, and there is an entry of what it had", async () => {
  await changeShop({ productName: "Shop Mail" });
  const owner = { masterId: acme.master.id, subaccountId: shop.subaccount.id };
  await forgetBrand(db, { kind: "system" }, owner, clock);
  await forgetBrand(db, { kind: "system" }, owner, clock);
  expect(await ofShop()).toEqual(ourBrand(ours));
  const entries = await db.selectFrom("audit_entry").selectAll().where("action", "=", "branding.removed").execute();
  expect(entries).toHaveLength(1);
  expect(entries[0]?.before).toMatchObject({ product_name: "Shop Mail" });
});

describe("sender and host", () => {
  const names = { senderAddress: "Service@Mail.Acme.example", host: "Mail.Acme.Example." };

  test("are in use exactly while the master has proven their domain", async () => {
    await change(names);
    expect(await ofShop()).toEqual(ourBrand(ours));
    const id = await prove(database, "acme.example", acme.master.id);
    const branded = { senderAddress: "Service@mail.acme.example", origin: "https://mail.acme.example" };
    expect(await ofShop()).toMatchObject(branded);
    await fail(database, id);
    expect(await ofShop()).toEqual(ourBrand(ours));
    await db.updateTable("sender_domain").set({ state: "verified" }).where("id", "=", id).execute();
    expect(await ofShop()).toMatchObject(branded);
    await removeDomain(db, acme.principal, id, clock);
    expect(await ofShop()).toEqual(ourBrand(ours));
  });

  test("of a subaccount fall back to its master's when its own proof is lost", async () => {
    await prove(database, "acme.example", acme.master.id);
    const id = await prove(database, "shop.example", acme.master.id, shop.subaccount.id);
    await change({ host: "mail.acme.example" });
    await changeShop({ host: "mail.shop.example" });
    expect((await ofShop()).origin).toBe("https://mail.shop.example");
    await fail(database, id);
    expect((await ofShop()).origin).toBe("https://mail.acme.example");
    expect((await shown()).own).toMatchObject({ host: "mail.shop.example", hostProven: false });
  });

  test.each([
    [
      "a claim alone",
      async () => void (await addDomain(db, acme.principal, undefined, { name: "acme.example" }, clock)),
    ],
    ["the proof of another master", async () => void (await prove(database, "acme.example", other.master.id))],
    [
      "the proof of a sibling",
      async () => {
        const { subaccount } = await people.subaccount(acme);
        await prove(database, "acme.example", acme.master.id, subaccount.id);
      },
    ],
    ["the proof of a name below", async () => void (await prove(database, "x.mail.acme.example", acme.master.id))],
    [
      "the proof of a name that only ends alike",
      async () => void (await prove(database, "me.example", acme.master.id)),
    ],
    [
      "a proof above one of somebody else",
      async () => {
        await prove(database, "acme.example", acme.master.id);
        await prove(database, "mail.acme.example", other.master.id);
      },
    ],
  ])("are not in use by %s", async (_, make) => {
    await make();
    await changeShop(names);
    expect(await ofShop()).toEqual(ourBrand(ours));
    expect((await shown()).own).toMatchObject({ hostProven: false, senderProven: false });
  });

  test("are judged by the last @: a quoted one does not count", async () => {
    await prove(database, "acme.example", acme.master.id);
    await change({ senderAddress: '"x@acme.example"@evil.example' });
    expect((await ofAcme()).senderAddress).toBe(ours.systemFrom);
  });
});

describe("a host", () => {
  test("is taken once within a master, and by nobody while another has proven it", async () => {
    await change({ host: "mail.acme.example" });
    expect(await fault(changeShop({ host: "MAIL.acme.example" }))).toEqual(["conflict", "/host"]);
    await change({ host: "mail.acme.example" }, other); // nobody has proven it: it reserves nothing
    await prove(database, "acme.example", acme.master.id);
    const third = await people.master();
    expect(await fault(change({ host: "mail.acme.example" }, third))).toEqual(["conflict", "/host"]);
    await change({ footer: "still" }, other);
    expect((await brandOf(db, { masterId: other.master.id, subaccountId: null }, ours)).origin).toBe(ours.publicUrl);
    expect((await ofAcme()).origin).toBe("https://mail.acme.example");
  });

  test("that two subaccounts ask for at once goes to one of them", async () => {
    const others = await Promise.all(Array.from({ length: 6 }, () => people.subaccount(acme)));
    const asked = others.map(({ subaccount }) =>
      changeBrand(db, acme.principal, subaccount.id, { host: "one.acme.example" }, {}, clock).then(
        () => "taken",
        (error: Fault) => error.kind,
      ),
    );
    expect((await Promise.all(asked)).sort()).toEqual([...Array(5).fill("conflict"), "taken"]);
  });
});

describe("a certificate", () => {
  const set = (given: { certificate: string; privateKey: string }, of: TestMaster = acme) =>
    setCertificate(db, of.principal, undefined, given, { keyring }, clock);

  test("is kept with its key encrypted, shown without it, and written down", async () => {
    await change({ host: "mail.acme.example" });
    const made = await certificateFor(["mail.acme.example"]);
    await set(made);
    const row = await brandRow(database, acme.master.id);
    expect(row?.certificate_key?.toString("latin1")).not.toContain("PRIVATE");
    const found = await findBrand(db, acme.principal, undefined, clock, ours.systemFrom);
    expect(found.certificate).toMatchObject({ names: ["mail.acme.example"], fingerprint: fingerprintOf(made) });
    expect(JSON.stringify(found)).not.toContain("PRIVATE");
    const entries = await db.selectFrom("audit_entry").selectAll().where("master_id", "=", acme.master.id).execute();
    expect(JSON.stringify(entries)).toContain("branding.certificate_set");
    for (const line of made.privateKey.split("\n").filter((one) => one.length > 20))
      expect(JSON.stringify(entries)).not.toContain(line);
    await removeCertificate(db, acme.principal, undefined, {}, clock);
    expect(await brandRow(database, acme.master.id)).toMatchObject({ certificate: null, certificate_key: null });
    expect(await fault(removeCertificate(db, acme.principal, undefined, {}, clock))).toEqual(["not-found", null]);
  });

  test("needs a host, and goes with one that it does not cover", async () => {
    const made = await certificateFor(["mail.acme.example", "smtp.acme.example"]);
    expect(await fault(set(made))).toEqual(["conflict", null]);
    await change({ host: "www.acme.example" });
    expect(await fault(set(made))).toEqual(["invalid", "/certificate"]);
    await change({ host: "mail.acme.example" });
    await set(made);
    await change({ host: "smtp.acme.example", footer: "x" });
    expect((await brandRow(database, acme.master.id))?.certificate).not.toBeNull();
    await change({ host: null });
    expect(await brandRow(database, acme.master.id)).toMatchObject({ certificate: null, certificate_ends_at: null });
  });

  test("of a subaccount is its master's to set", async () => {
    await changeShop({ host: "mail.shop.example" });
    const made = await certificateFor(["mail.shop.example"]);
    expect(await fault(setCertificate(db, shop.principal, undefined, made, { keyring }, clock))).toEqual([
      "forbidden",
      null,
    ]);
    expect(await fault(setCertificate(db, other.principal, shop.subaccount.id, made, { keyring }, clock))).toEqual([
      "not-found",
      null,
    ]);
    await setCertificate(db, acme.principal, shop.subaccount.id, made, { keyring }, clock);
    expect((await shown()).certificate?.names).toEqual(["mail.shop.example"]);
  });
});

test("control: a database that takes every name for proven is noticed", async () => {
  const read = async () =>
    (await sql<{ text: string }>`select pg_get_functiondef('brand_name_proven'::regproc) as text`.execute(db)).rows[0]!
      .text;
  const whole = await read();
  try {
    const broken = whole.replace("d.master_id = p_master and", "");
    expect(broken).not.toBe(whole);
    await sql.raw(broken).execute(db);
    await prove(database, "acme.example", other.master.id);
    await changeShop({ host: "mail.acme.example" });
    expect((await ofShop()).origin).toBe("https://mail.acme.example");
  } finally {
    await sql.raw(whole).execute(db);
  }
  expect((await ofShop()).origin).toBe(ours.publicUrl);
});
