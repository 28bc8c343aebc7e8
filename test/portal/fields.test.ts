/** A form that comes back: the field that was wrong says so, and why, and has the focus; what else was typed is kept. */
import { expect, test } from "vitest";
import { newMaster } from "../api/client.ts";
import { openBrowser, openPortal, type Shown } from "./browser.ts";
import { lastLetter, logIn, newOwner, newPerson, PASSWORD, runResets } from "./people.ts";

const door = await openPortal();
const TOO_SHORT = "A password has at least 12 characters";

/** The input of that name, and what it is described by. */
function fieldOf({ html, url }: Shown, name: string) {
  const tag = new RegExp(`<input id="${name}"[^>]*>`).exec(html)?.[0];
  if (tag === undefined) throw new Error(`no field ${name} on ${url}`);
  const described = /aria-describedby="([^"]*)"/.exec(tag)?.[1]?.split(" ") ?? [];
  const texts = described.map((id) => new RegExp(`id="${id}">([^<]*)<`).exec(html)?.[1]);
  return {
    invalid: tag.includes('aria-invalid="true"'),
    focus: tag.includes(" autofocus"),
    value: /value="([^"]*)"/.exec(tag)?.[1],
    notes: texts.join(" | "),
  };
}

const focused = ({ html }: Shown) => [...html.matchAll(/ autofocus/g)].length;

/** The one field that is wrong, by name. */
function expectWrong(page: Shown, name: string, why: string, status = 422): void {
  expect(page.status).toBe(status);
  expect(fieldOf(page, name)).toMatchObject({ invalid: true, focus: true, notes: expect.stringContaining(why) });
  expect([...page.html.matchAll(/aria-invalid="true"/g)]).toHaveLength(1);
  expect(focused(page)).toBe(1);
  expect(page.html).toContain(`<a href="#${name}">${why}`);
  expect(page.html).toContain("<title>Error: ");
}

async function invited(email: string) {
  const { key } = await newMaster(door);
  await door.call("POST", "/v1/members", { key, body: { email, role: "viewer" } });
  const { path } = await lastLetter(door, email);
  const browser = openBrowser(door);
  return { browser, page: await browser.get(path) };
}

test("control: a form that nobody has sent yet has no wrong field, and the focus in the first", async () => {
  const { page } = await invited("fresh@fields.example");
  expect(page.html).not.toContain("aria-invalid");
  expect([fieldOf(page, "name").focus, fieldOf(page, "password").focus, focused(page)]).toEqual([true, false, 1]);
  expect(fieldOf(page, "password").notes).toContain("At least 12 characters");
});

test("an invitation with a password that is too short keeps the name, and asks for the password", async () => {
  const { browser, page } = await invited("short@fields.example");
  const again = await browser.submit(page, { name: 'Pat "P"', password: "short" });
  expectWrong(again, "password", TOO_SHORT);
  expect(fieldOf(again, "password")).toMatchObject({ value: "", notes: expect.stringContaining("At least 12") });
  expect(fieldOf(again, "name")).toMatchObject({ value: "Pat &quot;P&quot;", focus: false, invalid: false });
});

test("an invitation without a name asks for the name", async () => {
  const { browser, page } = await invited("nameless@fields.example");
  expectWrong(await browser.submit(page, { name: "", password: PASSWORD }), "name", "This must not be empty.");
});

test("an invitation of somebody who has another password here asks for it again", async () => {
  const { email } = await newOwner(door);
  const { browser, page } = await invited(email);
  const again = await browser.submit(page, { password: "a wrong one of mine" });
  expectWrong(again, "password", "This is not the password", 401);
});

test("a reset with a password that is too short asks for another", async () => {
  const { email } = await newOwner(door);
  const browser = openBrowser(door);
  await browser.post("/reset", { email });
  await runResets(door);
  const page = await browser.get((await lastLetter(door, email)).path);
  expect(fieldOf(page, "password").focus).toBe(true);
  expectWrong(await browser.submit(page, { password: "aaaaaaaaaaaaaaaa" }), "password", "A password has at least five");
});

test("a change of password says which of the two was wrong", async () => {
  const { browser } = await newOwner(door);
  const page = await browser.get("/account/password");
  const short = await browser.submit(page, { current_password: PASSWORD, password: "short" }, "/account/password");
  expectWrong(short, "password", TOO_SHORT);
  const wrong = { current_password: "not my password", password: "plums in a brown bowl" };
  const other = await browser.submit(page, wrong, "/account/password");
  expectWrong(other, "current_password", "This is not your password.", 401);
});

test("a code of a second factor that is wrong is asked for again", async () => {
  const { key } = await newMaster(door);
  const { browser } = await newPerson(door, { key }, { email: "code@fields.example", role: "viewer" });
  await logIn(browser, "code@fields.example");
  const start = await browser.submit(await browser.get("/account/second-factor"), {});
  const again = await browser.submit(start, { code: "000000" }, "/account/second-factor/confirm");
  expectWrong(again, "code", "This is not the code");
});
