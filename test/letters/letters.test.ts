import { simpleParser } from "mailparser";
import { describe, expect, test } from "vitest";
import { inkOn, ourBrand } from "../../src/branding/brand.ts";
import { contactsOf } from "../../src/letters/contacts.ts";
import { languageOf, writeCount, writeDate, writeInstant } from "../../src/letters/language.ts";
import { type Letter, setLetter } from "../../src/letters/letter.ts";
import { sendLetter } from "../../src/letters/send.ts";
import { newId } from "../../src/platform/ids.ts";
import { seedMaster, seedSubaccount } from "../support/accounts.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

const config = {
  publicUrl: "https://relay.example",
  systemFrom: "postmeter@relay.example",
  hostname: "relay.example",
  queueLifetimeMs: 3_600_000,
};

const letter: Letter = {
  subject: "You are <invited>",
  headline: "Ann & Co. have invited you.",
  facts: [["Account", "<Corner Shop>"]],
  paragraphs: ["The link can be used once.", "It ends tomorrow."],
  action: { label: "Accept", href: "https://relay.example/invite/abc?x=1&y=2" },
  why: "You get this because somebody gave your address.",
};

describe("a letter", () => {
  test("says the same as text and as HTML, and no value becomes markup", () => {
    const brand = { ...ourBrand(config), supportAddress: "help@acme.example", footer: "Acme Ltd." };
    const { text, html } = setLetter(letter, brand, "en");
    const said = html
      .replace(/<title>.*<\/title>|<[^>]*>/g, " ")
      .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)));
    const parts = [
      letter.headline,
      ...letter.paragraphs,
      letter.why,
      letter.action?.href,
      "<Corner Shop>",
      "Acme Ltd.",
    ];
    for (const part of [...parts, "Questions? Write to help@acme.example."]) {
      expect(text).toContain(part);
      expect(said).toContain(part);
    }
    expect(html).not.toContain("<Corner");
    expect(html).not.toContain("<invited>");
  });

  test("says in the reader's language what we add", () => {
    const brand = { ...ourBrand(config), supportAddress: "help@acme.example" };
    expect(setLetter(letter, brand, "de").text).toContain("Fragen? Schreiben Sie an help@acme.example.");
    expect(setLetter(letter, brand, "de").html).toContain('<html lang="de">');
  });
});

describe("a reader's", () => {
  test.each([
    ["de-AT", "de"],
    ["EN", "en"],
    ["fr", "en"],
    [null, "en"],
  ] as const)("language %s is written in %s", (chosen, language) => expect(languageOf(chosen)).toBe(language));

  test("first choice that we write wins", () => expect(languageOf("fr", null, "de-CH", "en")).toBe("de"));

  test("clock shows an instant, and his date the day", () => {
    const at = new Date("2026-11-30T23:30:00Z");
    expect(writeInstant(at, { language: "en", timeZone: "UTC" })).toBe("30 November 2026 at 23:30 UTC");
    expect(writeInstant(at, { language: "de", timeZone: "Europe/Berlin" })).toBe("1. Dezember 2026 um 00:30 MEZ");
    expect(writeDate(at, { language: "en", timeZone: "Europe/Berlin" })).toBe("1 December 2026");
    expect(writeCount(1234567, "de")).toBe("1.234.567");
    expect(writeCount(1234567, "en")).toBe("1,234,567");
  });
});

test("a link stands on a line of its own, so that no encoding breaks it", () => {
  const { text } = setLetter(letter, ourBrand(config), "en");
  expect(text.split("\n")).toContain(letter.action?.href);
});

test.each([
  ["#000000", "#ffffff"],
  ["#1f4e79", "#ffffff"],
  ["#ffcc00", "#000000"],
  ["#ffffff", "#000000"],
])("on %s one writes in %s", (colour, ink) => expect(inkOn(colour)).toBe(ink));

describe("who hears", () => {
  const master = {
    notificationEmails: ["ops@acme.example", { email: "bills@acme.example", topics: ["billing"] }],
    language: "de",
    timeZone: "Europe/Berlin",
  };
  const subaccount = { notificationEmails: null, ownerEmail: "owner@shop.example", language: null, timeZone: null };

  test("of quota is the master alone, by topic", () => {
    expect(contactsOf("quota", master, subaccount)).toEqual([
      { side: "master", to: ["ops@acme.example"], reader: { language: "de", timeZone: "Europe/Berlin" } },
    ]);
  });

  test("of billing and expiry are those who want bills", () => {
    const both = ["ops@acme.example", "bills@acme.example"];
    for (const topic of ["billing", "expiry"] as const)
      expect(contactsOf(topic, master, subaccount)[0]?.to).toEqual(both);
  });

  test("of abuse are both sides, each in its own words", () => {
    const sides = contactsOf("abuse", master, { ...subaccount, language: "en", timeZone: "Asia/Tokyo" });
    expect(sides.map(({ side, to, reader }) => [side, to, reader])).toEqual([
      ["master", ["ops@acme.example"], { language: "de", timeZone: "Europe/Berlin" }],
      ["subaccount", ["owner@shop.example"], { language: "en", timeZone: "Asia/Tokyo" }],
    ]);
  });

  test("is what the master's policy says", () => {
    const policy = (side: "master" | "subaccount" | "both") =>
      contactsOf("quota", { ...master, contactPolicy: { quota: side } }, subaccount).map((contacts) => contacts.side);
    expect(policy("both")).toEqual(["master", "subaccount"]);
    expect(policy("subaccount")).toEqual(["subaccount"]);
    expect(policy("master")).toEqual(["master"]);
  });

  test("is the subaccount's own list in the master's place, each address once", () => {
    const list = ["a@shop.example", "A@shop.example", "owner@shop.example"];
    expect(contactsOf("abuse", master, { ...subaccount, notificationEmails: list }).map(({ to }) => to)).toEqual([
      ["A@shop.example", "owner@shop.example"],
    ]);
  });
});

async function sent({ pool }: TestDatabase) {
  const { rows } = await pool.query(
    "select b.bytes from message m join body b on b.message_id = m.id where kind = 'system'",
  );
  return await Promise.all(rows.map(({ bytes }) => simpleParser(bytes)));
}

describe("a letter's brand", () => {
  const row = {
    updated_at: new Date(),
    product_name: "Acme Mail",
    sender_address: "hello@acme.example",
    host: "mail.acme.example",
  };

  async function branded(proven: boolean) {
    const database = await testDatabase();
    const { db, clock } = database;
    const { masterId } = await seedMaster(database);
    const subaccountId = await seedSubaccount(database, masterId);
    await db
      .insertInto("brand")
      .values({ ...row, account_id: masterId, master_id: masterId })
      .execute();
    const own = { account_id: subaccountId, master_id: masterId, product_name: "Shop Mail", updated_at: new Date() };
    await db.insertInto("brand").values(own).execute();
    const domain = {
      id: newId(clock),
      master_id: masterId,
      name: "acme.example",
      token: "t",
      state: "verified" as const,
    };
    if (proven)
      await db
        .insertInto("sender_domain")
        .values({ ...domain, created_at: new Date() } as never)
        .execute();
    const post = (of: Parameters<typeof sendLetter>[1]["of"]) =>
      sendLetter(
        db,
        {
          of,
          to: ["ann@shop.example"],
          reader: { language: "en", timeZone: "UTC" },
          write: (_, origin) => ({ ...letter, paragraphs: [origin] }),
        },
        { clock, config },
      );
    return { database, masterId, subaccountId, post };
  }

  test("is the subaccount's where it has chosen, and the master's in the rest", async () => {
    const { database, masterId, subaccountId, post } = await branded(true);
    await post({ masterId, subaccountId });
    await post({ masterId, subaccountId: null });
    const [first, second] = await sent(database);
    expect(first?.from?.text).toBe('"Shop Mail" <hello@acme.example>');
    expect(second?.from?.text).toBe('"Acme Mail" <hello@acme.example>');
    expect(first?.text).toContain("https://mail.acme.example");
  });

  test("has no address and no host of a domain that is not proven", async () => {
    const { database, masterId, post } = await branded(false);
    await post({ masterId, subaccountId: null });
    const [mail] = await sent(database);
    expect(mail?.from?.text).toBe('"Acme Mail" <postmeter@relay.example>');
    expect(mail?.text).toContain("https://relay.example\n");
  });
});
