/** How people come into an account, how they are helped, and how they leave. */
import { describe, expect, test } from "vitest";
import { newMaster, newSubaccount } from "../api/client.ts";
import { openBrowser, openPortal } from "./browser.ts";
import { lastLetter, letters, logIn, newOwner, newPerson, PASSWORD } from "./people.ts";

const door = await openPortal();
const { pool } = door.database;
let made = 0;
const address = () => {
  made += 1;
  return `pat${made}@shop.example`;
};

async function invitedShop(members: Record<string, unknown> = {}) {
  const master = await newMaster(door);
  const email = address();
  const body = { name: "Corner Shop", monthly_limit: 100, owner_email: email, onboarding: "invite", ...members };
  const { status, body: shop } = await door.call("POST", "/v1/subaccounts", { key: master.key, body });
  expect(status).toBe(201);
  const of = (verb: string, ask = {}) =>
    door.call("POST", `/v1/subaccounts/${shop.id}/${verb}`, { key: master.key, ...ask });
  const shown = async () => (await door.call("GET", `/v1/subaccounts/${shop.id}`, { key: master.key })).body;
  return { master, email, shop, of, shown };
}

describe("an invitation", () => {
  test("waits as pending, sets name and password, and makes the account active", async () => {
    const { email, shop, shown } = await invitedShop();
    expect(shop).toMatchObject({ state: "pending" });
    expect(shop.credential).toBeUndefined();
    const { path, subject, text } = await lastLetter(door, email);
    expect(subject).toBe("Your invitation to Postmeter");
    expect(text).not.toContain("Corner Shop"); // the name is the master's own
    const browser = openBrowser(door);
    const page = await browser.get(path);
    expect(page.text).toContain(`You are invited as ${email}`);
    expect((await browser.submit(page, { name: "Pat", password: "too short" })).status).toBe(422);
    expect((await browser.submit(page, { name: "", password: PASSWORD })).status).toBe(422);
    expect((await shown()).state).toBe("pending");
    expect((await browser.submit(page, { name: "Pat", password: PASSWORD })).url).toBe("/login");
    expect((await shown()).state).toBe("active");
    expect((await logIn(browser, email)).text).toContain(`Pat (${email}), owner`);
    expect((await browser.submit(page, { name: "Eve", password: "another long one" })).status).toBe(410);
  });

  test("sent again: the link before it is void; an accepted one can't be sent again", async () => {
    const { email, of } = await invitedShop();
    const first = await lastLetter(door, email);
    expect((await of("resend_invitation")).body).toEqual({ email, name: null });
    const second = await lastLetter(door, email);
    const browser = openBrowser(door);
    expect((await browser.get(first.path)).text).toContain("a newer one was sent");
    await browser.submit(await browser.get(second.path), { name: "Pat", password: PASSWORD });
    expect((await of("resend_invitation")).status).toBe(409);
  });

  test("ends after a day, with the close of the account, and by twenty at once for all but one", async () => {
    const [late, closed, raced] = [await invitedShop(), await invitedShop(), await invitedShop()];
    const lateLink = (await lastLetter(door, late.email)).path;
    await pool.query("update link set expires_at = expires_at - interval '24 hours' where subaccount_id is not null");
    expect((await openBrowser(door).get(lateLink)).text).toContain("expired");
    await late.of("resend_invitation");
    await closed.of("resend_invitation");
    const closedLink = (await lastLetter(door, closed.email)).path;
    await closed.of("close");
    expect((await openBrowser(door).post(closedLink, { name: "Pat", password: PASSWORD })).status).toBe(410);
    await closed.of("reopen");
    expect((await openBrowser(door).post(closedLink, { name: "Pat", password: PASSWORD })).status).toBe(410);
    await raced.of("resend_invitation");
    const { path } = await lastLetter(door, raced.email);
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        openBrowser(door).post(path, { name: `P${i}`, password: `${PASSWORD} ${i}` }),
      ),
    );
    expect(all.filter(({ url }) => url === "/login")).toHaveLength(1);
  });

  test("of somebody who has a password here asks for it, and shows the inviter nothing of him", async () => {
    const { email } = await newOwner(door);
    const other = await newMaster(door);
    const { body } = await door.call("POST", "/v1/members", { key: other.key, body: { email, role: "admin" } });
    expect(body).toMatchObject({ email, name: null, second_factor: false, last_seen_at: null, state: "invited" });
    const { path } = await lastLetter(door, email);
    const browser = openBrowser(door);
    const page = await browser.get(path);
    expect((await browser.submit(page, { password: "a new one of the inviter" })).status).toBe(401);
    expect((await browser.submit(page, { password: PASSWORD })).url).toBe("/login");
    const account = await logIn(browser, email);
    expect(account.text).toContain("Your places");
    const there = await browser.submit(account, {}, "/account/switch");
    expect(there.text).toContain("admin");
    expect((await browser.api("GET", "/v1/account")).body.id).toBe(other.masterId);
  });
});

describe("a hand-over", () => {
  test("shows once where to send and a link to log in, and mails nothing", async () => {
    const master = await newMaster(door);
    const before = (await letters(door)).length;
    const email = address();
    const body = { name: "Shop", monthly_limit: 5, owner_email: email };
    const answer = await door.call("POST", "/v1/subaccounts", { key: master.key, body });
    expect(answer.headers.get("cache-control")).toBe("no-store");
    const { smtp_host, smtp_port, smtps_port, log_in_url } = answer.body.hand_over;
    expect([smtp_host, smtp_port, smtps_port]).toEqual(["relay.example", 587, 465]);
    expect(answer.body.actions).toContain("resend_invitation");
    expect(answer.body.credential.password).toMatch(/^[a-z2-7]{32}$/);
    expect((await letters(door)).length).toBe(before);
    const browser = openBrowser(door);
    const page = await browser.get(new URL(log_in_url).pathname);
    await browser.submit(page, { name: "Pat", password: PASSWORD });
    expect((await logIn(browser, email)).url).toBe("/account");
    const shown = await door.call("GET", `/v1/subaccounts/${answer.body.id}`, { key: master.key });
    expect(shown.body.hand_over).toBeUndefined();
  });
});

describe("a master helps", () => {
  async function shopWithOwner() {
    const invited = await invitedShop();
    const browser = openBrowser(door);
    const { path } = await lastLetter(door, invited.email);
    await browser.submit(await browser.get(path), { name: "Pat", password: PASSWORD });
    await logIn(browser, invited.email);
    return { ...invited, browser };
  }

  test("by a temporary password: shown once, to be changed, the owner told and logged out", async () => {
    const { email, of, browser } = await shopWithOwner();
    const { status, body } = await of("temporary_password");
    expect([status, body.email]).toEqual([201, email]);
    expect((await browser.get("/account")).url).toBe("/login");
    expect((await lastLetter(door, email)).subject).toBe("A temporary password for Postmeter was set");
    expect((await logIn(browser, email)).status).toBe(401);
    const page = await logIn(browser, email, body.password);
    expect(page.url).toBe("/account/password");
    expect((await browser.api("GET", "/v1/account")).body.type).toBe("/problems/action-required");
    const change = { current_password: body.password, password: "plums in a brown bowl" };
    expect((await browser.submit(page, { ...change, current_password: "x" })).status).toBe(401);
    expect((await browser.submit(page, change)).url).toBe("/account");
    expect((await browser.api("GET", "/v1/account")).status).toBe(200);
  });

  test("not by a password for somebody who can log in elsewhere too", async () => {
    const { email, of } = await shopWithOwner();
    const other = await newMaster(door);
    await door.call("POST", "/v1/members", { key: other.key, body: { email, role: "viewer" } });
    expect((await of("temporary_password")).status).toBe(201); // invited is not in
    const { path } = await lastLetter(door, email);
    expect(path).toMatch(/^\/reset/); // the letter of the password; the invitation before it
    const invitation = (await letters(door)).findLast((mail) => mail.path.startsWith("/invite/"));
    await pool.query("update person set password_temporary = false where email = $1", [email]);
    const { body } = await of("temporary_password");
    await openBrowser(door).post(invitation?.path ?? "", { password: body.password });
    expect((await of("temporary_password")).status).toBe(409);
  });

  test("by a link to a new password, which goes to the owner alone", async () => {
    const { email, of } = await shopWithOwner();
    const { status, text } = await of("reset_password");
    expect([status, text]).toEqual([200, expect.not.stringContaining("/reset/")]);
    void email;
    const nobody = await newMaster(door);
    const shop = await newSubaccount(door, nobody);
    const none = await door.call("POST", `/v1/subaccounts/${shop.id}/reset_password`, { key: nobody.key });
    expect(none.status).toBe(409);
  });

  test("by looking: a link of a minute, once, for a quarter of an hour, in the log of both sides", async () => {
    const { master, shop, of } = await shopWithOwner();
    const { status, body } = await of("log_in_as", { body: { reason: "Ticket 4711", read_only: true } });
    expect(status).toBe(201);
    const path = new URL(body.url).pathname;
    const browser = openBrowser(door);
    const page = await browser.get(path);
    await browser.get(path);
    const inside = await browser.submit(page, {});
    expect(inside.url).toBe("/account");
    const bar = /<form class="acting".*?<\/form>/s.exec(inside.html)?.[0] ?? "";
    expect(bar).toContain(`You act for <strong>Corner Shop</strong> (${shop.id}), you may look, and change nothing`);
    expect(bar).toContain("Reason: Ticket 4711");
    const ends = /<time datetime="([^"]+)">(\d\d:\d\d UTC)<\/time>/.exec(bar) ?? [];
    const { rows } = await pool.query("select expires_at from session where acting ->> 'reason' = 'Ticket 4711'");
    expect(ends.slice(1)).toEqual([rows[0].expires_at.toISOString(), `${ends[1]?.slice(11, 16)} UTC`]);
    expect((await browser.get("/renew")).html).toContain(bar); // on every page
    expect((await browser.submit(page, {})).status).toBe(410);
    const account = await browser.api("GET", "/v1/account");
    expect(account.body.id).toBe(shop.id);
    expect(account.body.name).toBeUndefined(); // seen as its people see it
    const session = (await browser.api("GET", "/session")).body;
    const headers = { "X-CSRF-Token": session.csrf_token };
    const change = await browser.api("PATCH", "/v1/account", { body: { owner_name: "Me" }, headers });
    expect(change.status).toBe(403);
    const own = { name: "own", scopes: ["read"], subaccount_id: shop.id };
    const { body: theirs } = await door.call("POST", "/v1/keys", { key: master.key, body: own });
    for (const key of [master.key, theirs.key]) {
      const { body: log } = await door.call("GET", "/v1/audit?action=account.log_in_as", { key });
      const why = { reason: "Ticket 4711", read_only: true };
      expect(log.data[0]).toMatchObject({ target: shop.id, action: "account.log_in_as", after: why });
    }
    const { body: rest } = await door.call("GET", "/v1/audit?action=key.created", { key: theirs.key });
    expect(rest.data[0]).toMatchObject({ after: null }); // what else others did is told without its values
    await pool.query("update session set expires_at = expires_at - interval '15 minutes'");
    expect((await browser.get("/account")).url).toBe("/login");
  });

  test("with all rights, and what is done stands in the log as done by the master", async () => {
    const { master, shop, of } = await shopWithOwner();
    const { body } = await of("log_in_as", { body: { reason: "to set the language" } });
    const browser = openBrowser(door);
    const inside = await browser.submit(await browser.get(new URL(body.url).pathname), {});
    expect(inside.text).toContain(`You act for Corner Shop (${shop.id}), with all rights, until`);
    const { csrf_token: token } = (await browser.api("GET", "/session")).body;
    const ask = { body: { language: "de" }, headers: { "X-CSRF-Token": token } };
    expect((await browser.api("PATCH", "/v1/account", ask)).body.language).toBe("de");
    const { body: log } = await door.call("GET", `/v1/audit?target=${shop.id}`, { key: master.key });
    expect(log.data[0]).toMatchObject({ action: "subaccount.changed", actor: { kind: "master", acting_for: shop.id } });
    for (const path of ["/v1/me", "/v1/me/sessions"]) expect((await browser.api("GET", path)).status).toBe(403);
    expect((await browser.get("/account/password")).url).toBe("/account"); // no person is logged in
  });

  test("not after a minute, not in a closed account, and not in another's", async () => {
    const { of } = await shopWithOwner();
    const { body } = await of("log_in_as", { body: { reason: "late" } });
    await pool.query("update link set expires_at = pm_now() where purpose = 'log_in_as'");
    expect((await openBrowser(door).get(new URL(body.url).pathname)).status).toBe(410);
    const stranger = await newMaster(door);
    expect((await of("log_in_as", { key: stranger.key, body: { reason: "x" } })).status).toBe(404);
    const open = await of("log_in_as", { body: { reason: "before the close" } });
    await of("close");
    expect((await of("log_in_as", { body: { reason: "after" } })).status).toBe(409);
    expect((await openBrowser(door).get(new URL(open.body.url).pathname)).status).toBe(410);
  });

  test("the close ends all sessions of the account, and reopening brings none back", async () => {
    const { of, browser, email } = await shopWithOwner();
    expect((await browser.api("GET", "/v1/account")).status).toBe(200);
    await of("close");
    expect((await browser.api("GET", "/v1/account")).status).toBe(401);
    const closed = await logIn(browser, email); // into the one page that is left to him
    expect(closed.text).toContain("The account is closed");
    expect((await browser.api("GET", "/v1/account")).status).toBe(401);
    await of("reopen");
    expect((await browser.get("/account")).url).toBe("/account");
  });
});

describe("members", () => {
  test("an admin manages all but owners, a developer nobody, and the last owner stays", async () => {
    const owner = await newOwner(door);
    const { key } = owner;
    const admin = await newPerson(door, { key }, { email: "admin@acme.example", role: "admin" });
    const dev = await newPerson(door, { key }, { email: "dev@acme.example", role: "developer" });
    await logIn(admin.browser, "admin@acme.example");
    await logIn(dev.browser, "dev@acme.example");
    const act = async (who: typeof admin.browser, method: string, path: string, body?: unknown) => {
      const { csrf_token: token } = (await who.api("GET", "/session")).body;
      const ask = { headers: { "X-CSRF-Token": token }, ...(body === undefined ? {} : { body }) };
      return (await who.api(method, path, ask)).status;
    };
    const ownerPath = `/v1/members/${owner.memberId}`;
    expect(await act(admin.browser, "DELETE", ownerPath)).toBe(403);
    expect(await act(admin.browser, "PATCH", `/v1/members/${admin.id}`, { role: "owner" })).toBe(403);
    expect(await act(dev.browser, "POST", "/v1/members", { email: "x@y.example", role: "viewer" })).toBe(403);
    expect(await act(admin.browser, "PATCH", `/v1/members/${dev.id}`, { role: "viewer" })).toBe(200);
    expect(await act(owner.browser, "DELETE", ownerPath)).toBe(409);
    expect(await act(owner.browser, "PATCH", ownerPath, { role: "admin" })).toBe(409);
    expect(await act(owner.browser, "PATCH", `/v1/members/${admin.id}`, { role: "owner" })).toBe(200);
    expect(await act(admin.browser, "DELETE", ownerPath)).toBe(204);
    expect((await owner.browser.get("/account")).url).toBe("/login");
  });

  test("a developer looks after keys and credentials, within his own rights", async () => {
    const owner = await newOwner(door);
    const dev = await newPerson(door, { key: owner.key }, { email: "coder@acme.example", role: "developer" });
    await logIn(dev.browser, "coder@acme.example");
    const { csrf_token: token } = (await dev.browser.api("GET", "/session")).body;
    const headers = { "X-CSRF-Token": token };
    const make = (scopes: string[]) =>
      dev.browser.api("POST", "/v1/keys", { body: { name: "k", scopes }, headers }).then(({ status }) => status);
    expect(await make(["full"])).toBe(403);
    expect(await make(["billing"])).toBe(403);
    expect(await make(["read", "send"])).toBe(201);
    const path = `/v1/subaccounts/${owner.ownSubaccountId}/credentials`;
    expect((await dev.browser.api("POST", path, { body: {}, headers })).status).toBe(201);
    const limit = await dev.browser.api("POST", "/v1/subaccounts", { body: { name: "x", monthly_limit: 1 }, headers });
    expect(limit.status).toBe(403);
  });

  test("who looks after the bills says to which profile a subaccount belongs, and changes nothing else; a viewer not even that", async () => {
    const owner = await newOwner(door);
    const shop = await newSubaccount(door, owner);
    const strange = await newSubaccount(door, await newMaster(door));
    const as = async (role: "billing" | "viewer") => {
      const email = `${role}-${shop.id.slice(-6)}@acme.example`;
      const { browser } = await newPerson(door, { key: owner.key }, { email, role });
      await logIn(browser, email);
      const { csrf_token: token } = (await browser.api("GET", "/session")).body;
      const patch = (body: unknown, id = shop.id) =>
        browser.api("PATCH", `/v1/subaccounts/${id}`, { body, headers: { "X-CSRF-Token": token } });
      return { browser, patch };
    };
    const [biller, viewer] = [await as("billing"), await as("viewer")];
    const answer = await biller.patch({ billing_profile: "Cost centre 7" });
    expect([answer.status, answer.body.billing_profile]).toEqual([200, "Cost centre 7"]);
    const { body: log } = await door.call("GET", `/v1/audit?target=${shop.id}`, { key: owner.key });
    expect(log.data[0]).toMatchObject({ action: "subaccount.changed", after: { billing_profile: "Cost centre 7" } });
    for (const more of [{ monthly_limit: 9 }, { billing_profile: "x", name: "x" }, { notification_emails: null }]) {
      expect((await biller.patch(more)).status).toBe(403);
    }
    expect((await biller.patch({ billing_profile: "x" }, strange.id)).status).toBe(404);
    expect((await viewer.patch({ billing_profile: "x" })).status).toBe(403);
    for (const { browser } of [biller, viewer]) {
      for (const path of ["/v1/statements/current", "/v1/usage", "/v1/credits"]) {
        expect((await browser.api("GET", path)).status, path).toBe(200);
      }
    }
    const body = { name: "bills", scopes: ["billing"] };
    const { body: made } = await door.call("POST", "/v1/keys", { key: owner.key, body });
    const path = `/v1/subaccounts/${shop.id}`;
    const blind = await door.call("PATCH", path, { key: made.key, body: { billing_profile: "x" } });
    expect(blind.status).toBe(403); // what it may not read it is not shown
    expect((await door.call("GET", path, { key: owner.key })).body.billing_profile).toBe("Cost centre 7");
  });

  test("two owners who leave at the same time: one stays", async () => {
    const owner = await newOwner(door);
    const other = await newPerson(door, { key: owner.key }, { email: "second@acme.example", role: "owner" });
    const gone = await Promise.all(
      [owner.memberId, other.id].map((id) => door.call("DELETE", `/v1/members/${id}`, { key: owner.key })),
    );
    expect(gone.map(({ status }) => status).sort()).toEqual([204, 409]);
  });

  test("an address is a member once, whatever its case, and another's member is 404", async () => {
    const owner = await newOwner(door);
    const again = { email: owner.email.toUpperCase(), role: "viewer" };
    expect((await door.call("POST", "/v1/members", { key: owner.key, body: again })).status).toBe(409);
    const stranger = await newMaster(door);
    expect((await door.call("GET", `/v1/members/${owner.memberId}`, { key: stranger.key })).status).toBe(404);
  });
});

describe("keys", () => {
  test("are good from their networks alone, until they end, and roll over with an overlap", async () => {
    const { key } = await newMaster(door);
    const make = (members: Record<string, unknown>) =>
      door.call("POST", "/v1/keys", { key, body: { name: "k", scopes: ["read"], ...members } });
    const use = async (token: string, address = "192.0.2.7") => {
      const env = { incoming: { socket: { remoteAddress: address } } };
      const headers = { Authorization: `Bearer ${token}` };
      return (await door.app.app.request("/v1/account", { headers }, env)).status;
    };
    const { body: bound } = await make({ networks: ["192.0.2.0/28", "2001:db8::/32"] });
    expect(await use(bound.key)).toBe(200);
    expect(await use(bound.key, "2001:db8::1")).toBe(200);
    expect(await use(bound.key, "192.0.2.77")).toBe(401);
    expect((await make({ networks: ["192.0.2.0/33"] })).body.errors[0].pointer).toMatch(/^\/networks/);
    const { body: brief } = await make({ expires_at: new Date(Date.now() + 3_600_000).toISOString() });
    expect(await use(brief.key)).toBe(200);
    await pool.query("update api_key set expires_at = pm_now() where name = 'k' and expires_at is not null");
    await expect.poll(() => use(brief.key)).toBe(401);
    const { body: old } = await make({});
    const rotate = (id: string, body = {}) => door.call("POST", `/v1/keys/${id}/rotate`, { key, body });
    const { body: next } = await rotate(old.id, { overlap_seconds: 600 });
    expect([await use(old.key), await use(next.key)]).toEqual([200, 200]);
    expect((await rotate(old.id)).status).toBe(409);
    await pool.query("update api_key set expires_at = pm_now() where replaced_by is not null");
    await expect.poll(() => use(old.key)).toBe(401);
    const { body: last } = await rotate(next.id);
    expect([await use(next.key), await use(last.key)]).toEqual([401, 200]);
  });
});
