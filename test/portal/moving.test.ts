/** Pages on which an account goes to another payer. */
import { describe, expect, test } from "vitest";
import { newMaster, newSubaccount, OPERATOR_KEY } from "../api/client.ts";
import { openPortal } from "./browser.ts";
import { logIn, newOwner, newPerson } from "./people.ts";

const door = await openPortal();

async function shopWith(role: string, email: string) {
  const master = await newMaster(door);
  const shop = await newSubaccount(door, master);
  const person = await newPerson(door, { key: master.key, account: shop.id }, { email, role });
  const close = () => door.call("POST", `/v1/subaccounts/${shop.id}/close`, { key: master.key });
  return { master, shop, close, ...person };
}

describe("the owner of a closed account", () => {
  test("asks for one of his own, once, and the operator makes a master of it", async () => {
    const { shop, close, browser } = await shopWith("owner", "pat@renew.example");
    await logIn(browser, "pat@renew.example");
    expect((await browser.get("/renew")).text).toContain("for the owner of a closed account");
    await close();
    expect((await browser.get("/renew")).url).toBe("/login?next=/renew");
    await logIn(browser, "pat@renew.example");
    const page = await browser.get("/renew");
    expect(page.text).toContain("Ask for my own account");
    expect((await browser.submit(page, {}, "/renew")).text).toContain("You have asked for it");
    expect((await browser.submit(page, {}, "/renew")).status).toBe(409);
    const { body } = await door.call("GET", `/v1/transfers?subaccount_id=${shop.id}`, { key: OPERATOR_KEY });
    expect(body.data[0]).toMatchObject({ kind: "renewal", state: "accepted" });
    const approve = `/v1/transfers/${body.data[0].id}/approve`;
    const terms = { allowance: 500, notification_emails: ["pat@renew.example"] };
    const made = await door.call("POST", approve, { key: OPERATOR_KEY, body: terms });
    expect(made.status, made.text).toBe(200);
    expect(made.body.master.id).toMatch(/^mas_/);
  });

  test("is the only one who may: not a viewer, and not without the token of the page", async () => {
    const { close, browser } = await shopWith("viewer", "view@renew.example");
    await close();
    await logIn(browser, "view@renew.example");
    expect((await browser.get("/renew")).text).toContain("for the owner of a closed account");
    expect((await browser.post("/renew", {})).status).toBe(403);
  });
});

describe("an account that is offered", () => {
  test("is taken over by a master's person on the page, with a limit, once", async () => {
    const { master, shop } = await shopWith("owner", "pat@move.example");
    const taker = await newOwner(door);
    const body = { subaccount_id: shop.id, to_master: taker.masterId };
    const offer = await door.call("POST", "/v1/transfers", { key: master.key, body });
    expect(offer.status, offer.text).toBe(201);
    const path = `/transfer/${offer.body.token}`;
    const page = await taker.browser.get(path);
    expect(page.text).toContain("An account was offered to you");
    expect((await taker.browser.submit(page, { name: "Moved shop", monthly_limit: "1e3" })).status).toBe(422);
    const over = await taker.browser.submit(page, { name: "Moved shop", monthly_limit: "99999999999999999999" });
    expect(over.status).toBe(422);
    const done = await taker.browser.submit(page, { name: "Moved shop", monthly_limit: "50" });
    expect(done.text).toContain("The account is yours from now on");
    const { body: list } = await door.call("GET", "/v1/subaccounts?q=Moved", { key: taker.key });
    expect(list.data[0]).toMatchObject({ name: "Moved shop", monthly_limit: 50, usage: { used: 0 } });
    expect([404, 409, 410]).toContain((await taker.browser.submit(page, { monthly_limit: "50" })).status);
  });

  test("is not shown to whoever is not logged in", async () => {
    const { master, shop, browser } = await shopWith("owner", "pat@nobody.example");
    const body = { subaccount_id: shop.id, standalone: true };
    const offer = await door.call("POST", "/v1/transfers", { key: master.key, body });
    expect((await browser.get(`/transfer/${offer.body.token}`)).url).toMatch(/^\/login\?next=/);
    await logIn(browser, "pat@nobody.example");
    const page = await browser.get(`/transfer/${offer.body.token}`);
    expect((await browser.submit(page, {})).text).toContain("The operator sets the terms");
  });
});
