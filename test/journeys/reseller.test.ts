/** A reseller and its customers, from an invitation to the bill: the whole program, as those see it who live from it. */
import { beforeAll, expect, test } from "vitest";
import { verifyLedger } from "../../src/metering/verify.ts";
import { createClock } from "../../src/platform/clock.ts";
import type { Browser } from "../portal/browser.ts";
import { type Answer, createTenant, eventually, mailer, type Tenant } from "../support/relay.ts";
import { change, lettersTo, letterTo, logIn, openBrowser, PASSWORD } from "./people.ts";
import { openScene } from "./scene.ts";

const scene = await openScene({ env: { POSTMETER_UPSTREAM_URL: "capture:" } });
const { relay, database } = scene;

const OPS = "ops@acme.example";
const PAT = "pat@shop.example";
const KIM = "kim@mill.example";

type Login = Readonly<{ username: string; password: string }>;

let reseller: Tenant;
/** The shop: invited, with a person and a credential of its own. */
let shop: Readonly<{ id: string; pat: Browser; key: string }> & Login;
/** The mill: handed over. */
let mill: Readonly<{ id: string; kim: Browser }> & Login;

async function as(key: string, method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await relay.call(method, path, body, { key });
  expect(answer.status, answer.text).toBeLessThan(300);
  return answer;
}
const master = (method: string, path: string, body?: unknown) => as(reseller.masterKey, method, path, body);

const send = (login: Login, units = 1) =>
  mailer(relay, login).sendMail({
    from: "app@customer.example",
    to: Array.from({ length: units }, (_, i) => `reader${i}@example.net`),
    subject: "Hello",
    text: "Hello.",
  });

beforeAll(async () => {
  reseller = await createTenant(relay, { allowance: 1000 });
});

test("a customer is invited, sets a password, logs in, makes a credential and a key, and sends", async () => {
  const body = { name: "Corner Shop", monthly_limit: 100, owner_email: PAT, onboarding: "invite" };
  const { body: made } = await master("POST", "/v1/subaccounts", body);
  expect([made.state, made.credential]).toEqual(["pending", undefined]);
  const invitation = await letterTo(relay, PAT, /invitation/);
  const pat = openBrowser(relay);
  const page = await pat.get(invitation.path);
  expect(page.text).toContain(`You are invited as ${PAT}`);
  expect((await pat.submit(page, { name: "Pat", password: PASSWORD })).url).toBe("/login");
  expect((await logIn(pat, PAT)).text).toContain(`Pat (${PAT}), owner`);
  const credential = await change(pat, "POST", `/v1/subaccounts/${made.id}/credentials`, { name: "website" });
  expect(credential.status, credential.text).toBe(201);
  const key = await change(pat, "POST", "/v1/keys", { name: "dashboard", scopes: ["read"] });
  expect(key.status, key.text).toBe(201);
  const { username, password } = credential.body;
  shop = { id: made.id, pat, key: key.body.key, username, password };
  await send(shop, 40);
  expect((await as(shop.key, "GET", "/v1/usage")).body).toMatchObject({ used: 40, limit: 100, remaining: 60 });
});

test("its reseller looks into the account: everything to be seen, nothing to be changed, and both sides can read why", async () => {
  const body = { reason: "Ticket 4711", read_only: true };
  const { body: link } = await master("POST", `/v1/subaccounts/${shop.id}/log_in_as`, body);
  const helper = openBrowser(relay);
  const inside = await helper.submit(await helper.get(new URL(link.url).pathname), {});
  expect(inside.text).toContain("you may look, and change nothing");
  expect((await helper.api("GET", "/v1/account")).body.id).toBe(shop.id);
  expect((await change(helper, "PATCH", "/v1/account", { owner_name: "Me" })).status).toBe(403);
  const { body: log } = await as(shop.key, "GET", "/v1/audit?action=account.log_in_as");
  expect(JSON.stringify(log.data[0])).toContain("Ticket 4711");
});

test("at 80 % an alert comes, its link raises the limit once, and the mail that was refused goes out", async () => {
  await send(shop, 45);
  await expect(send(shop, 20)).rejects.toThrow(/550 5\.4\.5 20 recipients, but only 15 of 100 left/);
  const alert = await letterTo(relay, OPS, /Corner Shop has used 80 %/);
  expect(alert.path).toMatch(/^\/raise\//);
  const browser = openBrowser(relay);
  const page = await browser.get(alert.path);
  expect((await browser.submit(page, { limit: "120" })).text).toContain("may send to 120 recipients");
  expect((await browser.submit(page, { limit: "140" })).status).toBe(410);
  expect((await master("GET", `/v1/subaccounts/${shop.id}`)).body.monthly_limit).toBe(120);
  await send(shop, 20);
  expect(await lettersTo(relay, OPS, /Corner Shop has used 80 %/)).toBe(1);
});

test("another is handed over, locks itself out, and is helped: unlocked, and by a temporary password", async () => {
  const body = { name: "Old Mill", monthly_limit: 50, owner_email: KIM };
  const { body: made } = await master("POST", "/v1/subaccounts", body);
  const { username, password } = made.credential;
  expect(made.hand_over).toMatchObject({ smtp_host: "relay.example" });
  const kim = openBrowser(relay);
  mill = { id: made.id, kim, username, password };
  await send(mill, 10);
  const page = await kim.get(new URL(made.hand_over.log_in_url).pathname);
  await kim.submit(page, { name: "Kim", password: PASSWORD });
  for (let i = 0; i < 5; i += 1) await logIn(kim, KIM, "not the right one");
  expect((await logIn(kim, KIM)).status).toBe(429);
  const told = await letterTo(relay, OPS, /locked/i);
  expect(told.text).toContain(KIM);
  expect((await master("GET", `/v1/subaccounts/${mill.id}/locks`)).body.data).toMatchObject([{ name: KIM }]);
  expect((await master("POST", `/v1/subaccounts/${mill.id}/unlock`)).body).toEqual({ unlocked: 1 });
  await eventually(async () => (await logIn(kim, KIM)).url === "/account", "Kim gets in again");
  const { body: temporary } = await master("POST", `/v1/subaccounts/${mill.id}/temporary_password`);
  expect((await kim.get("/account")).url).toBe("/login");
  await letterTo(relay, KIM, /temporary password/i);
  const must = await logIn(kim, KIM, temporary.password);
  expect(must.url).toBe("/account/password");
  const own = { current_password: temporary.password, password: "plums in a brown bowl" };
  expect((await kim.submit(must, own)).url).toBe("/account");
});

test("closing ends sessions and mail at once, in connections that are open too; reopening brings the credential back", async () => {
  const kept = mailer(relay, mill, true);
  const mail = { from: "app@customer.example", to: "reader@example.net", text: "Hello." };
  await kept.sendMail(mail);
  await master("POST", `/v1/subaccounts/${mill.id}/close`);
  await expect(kept.sendMail(mail)).rejects.toThrow(/550 5\.7\.1/);
  kept.close();
  await expect(send(mill)).rejects.toThrow(/525 5\.7\.13 Account is closed/);
  expect((await mill.kim.api("GET", "/v1/account")).status).toBe(401);
  await master("POST", `/v1/subaccounts/${mill.id}/reopen`);
  await send(mill);
  expect((await master("GET", `/v1/subaccounts/${mill.id}`)).body).toMatchObject({
    state: "active",
    usage: { used: 12, limit: 50 },
  });
  expect((await mill.kim.get("/account")).url).toBe("/login");
});

test("an account moves to another reseller: charged there from zero; both bills add up, and the books are in order", async () => {
  const other = await createTenant(relay, { allowance: 500, master: { name: "Other Hosting" } });
  const offered = await master("POST", "/v1/transfers", { subaccount_id: mill.id, to_master: other.masterId });
  const terms = { name: "Moved mill", monthly_limit: 30 };
  const { body: moved } = await as(other.masterKey, "POST", `/v1/transfers/${offered.body.token}/accept`, terms);
  expect(moved.state).toBe("done");
  await expect(send(mill, 31)).rejects.toThrow(/31 recipients, but only 30 of 30 left/);
  await send(mill, 7);
  await send(shop, 1);
  expect((await logIn(mill.kim, KIM, "plums in a brown bowl")).text).toContain("owner");
  expect((await mill.kim.api("GET", "/v1/account")).body.id).toBe(moved.moved_to);
  expect(
    (await relay.call("GET", `/v1/subaccounts/${moved.moved_to}`, undefined, { key: reseller.masterKey })).status,
  ).toBe(404);
  const bill = async (key: string) => (await as(key, "GET", "/v1/statements/current")).body;
  const [here, there] = [await bill(reseller.masterKey), await bill(other.masterKey)];
  const units = ({ lines }: typeof here) =>
    Object.fromEntries(lines.map((line: { subaccount_id: string; units: number }) => [line.subaccount_id, line.units]));
  expect([here.units, there.units]).toEqual([118, 7]);
  expect(units(here)).toMatchObject({ [shop.id]: 106, [mill.id]: 12 });
  expect(units(there)).toMatchObject({ [moved.moved_to]: 7 });
  expect((await as(reseller.masterKey, "GET", "/v1/usage")).body).toMatchObject({ used: 118, remaining: 882 });
  expect(await verifyLedger(database.db, createClock())).toMatchObject({ ok: true, found: 0 });
});

test("control: a unit that is missing on one bill is found", async () => {
  await database.pool.query("update usage set used = used - 1 where used = 106");
  expect(await verifyLedger(database.db, createClock())).toMatchObject({ ok: false, found: 1 });
});
