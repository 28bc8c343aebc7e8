/** Statements by billing profile, as programs and printers get them. */
import { beforeAll, expect, test } from "vitest";
import { newMaster, newSubaccount, openDoor } from "./client.ts";

const door = await openDoor();
const { call } = door;
const master = await newMaster(door, { language: "de" });
const { key } = master;
const current = "/v1/statements/current";

beforeAll(async () => {
  const address = "Kai 1\n<b>Hafen</b>";
  const body = { name: "Nord & Co", currency: "EUR", cost_centre: "12", address };
  expect((await call("POST", "/v1/billing_profiles", { key, body })).status).toBe(201);
  for (const billing_profile of ["Nord & Co", "Nord & Co", "A label"])
    await newSubaccount(door, master, { billing_profile });
});

test("the groups have what bills are written with, and sum to the statement", async () => {
  const { body } = await call("GET", current, { key });
  expect(body).toMatchObject({ number: null, format: 2 });
  const none = { currency: null, cost_centre: null, address: null };
  expect(body.groups).toMatchObject([
    { billing_profile: "A label", ...none, subaccounts: 1 },
    { billing_profile: "Nord & Co", currency: "EUR", cost_centre: "12", subaccounts: 2 },
    { billing_profile: null, ...none, subaccounts: 1 },
  ]);
  for (const figure of ["messages", "units", "corrections", "billed", "credits", "overage_units", "refused"]) {
    const sum = (of: Record<string, number>[]) => of.reduce((all, one) => all + one[figure]!, 0);
    expect(sum(body.groups)).toBe(body[figure]);
    expect(sum(body.lines)).toBe(body[figure]);
  }
});

test("each profile has a sheet of its own, those of none too, and there is none of a name that no line has", async () => {
  const sheet = async (name: string, suffix = "") =>
    call("GET", `${current}${suffix}?billing_profile=${encodeURIComponent(name)}`, { key });
  expect((await sheet("Nord & Co")).body).toMatchObject({ groups: [{ subaccounts: 2 }], lines: [{}, {}] });
  expect((await sheet("")).body.lines).toMatchObject([{ billing_profile: null }]);
  const csv = (await sheet("Nord & Co", ".csv")).text.trimEnd().split("\r\n");
  expect(csv).toHaveLength(3);
  expect(csv[1]).toMatch(/,"Nord & Co",EUR,"12",,{8}$/);
  const page = (await sheet("A label", ".html")).text;
  expect(page).toContain("Rechnungsprofil: A label");
  expect(page).not.toContain("Nord");
  for (const name of ["nord & co", "null", "unassigned"]) expect((await sheet(name)).status).toBe(404);
  expect((await call("GET", `${current}?profile=Nord`, { key })).status).toBe(422);
});

test("the printed page has head and sum of each profile, and no text of theirs is markup", async () => {
  const { text } = await call("GET", `${current}.html`, { key });
  expect(text.match(/class="group"/g)).toHaveLength(3);
  expect(text.match(/class="sum"/g)).toHaveLength(3);
  expect(text).toContain(
    "Rechnungsprofil: Nord &amp; Co<br><span>Währung: EUR\nKostenstelle: 12\nKai 1\n&lt;b&gt;Hafen",
  );
  expect(text).toContain("Ohne Rechnungsprofil");
  const other = await newMaster(door, { name: "Plain" });
  const plain = await call("GET", `${current}.html`, { key: other.key });
  expect(plain.text).not.toMatch(/class="(group|sum)"/);
});
