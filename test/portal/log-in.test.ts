/** Logging in, out, and what keeps others from it. */
import { TOTP } from "otpauth";
import { describe, expect, test } from "vitest";
import { IDLE_MS } from "../../src/people/sessions.ts";
import { newMaster, newSubaccount, OPERATOR_KEY } from "../api/client.ts";
import { HOST, openBrowser, openPortal } from "./browser.ts";
import { lastLetter, letters, logIn, newOwner, newPerson, PASSWORD, runResets } from "./people.ts";

const door = await openPortal();
const { pool } = door.database;
const json = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  door.call("POST", path, { body, headers: { Host: HOST, ...headers } });

describe("a program", () => {
  test("logs in by JSON, reads with the cookie, changes with the token, and logs out", async () => {
    const { email, masterId } = await newOwner(door);
    const answer = await json("/login", { email: email.toUpperCase(), password: PASSWORD });
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({ email, role: "owner", account: masterId, must: null, second_factor: false });
    const set = answer.headers.get("set-cookie") ?? "";
    expect(set).toMatch(/^__Host-postmeter=[a-z2-7]{32}; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=43200$/);
    const Cookie = set.split(";")[0] ?? "";
    const token = { "X-CSRF-Token": answer.body.csrf_token };
    expect((await door.call("GET", "/v1/account", { headers: { Cookie } })).body.id).toBe(masterId);
    const body = { name: "Renamed" };
    const change = (headers: Record<string, string>) =>
      door.call("PATCH", "/v1/account", { body, headers: { Cookie, Host: HOST, ...headers } });
    expect((await change({})).body.type).toBe("/problems/cross-site");
    expect((await change({ "X-CSRF-Token": "0".repeat(32) })).status).toBe(403);
    expect((await change({ ...token, Origin: "https://evil.example" })).status).toBe(403);
    expect((await change({ ...token, "Sec-Fetch-Site": "cross-site" })).status).toBe(403);
    expect((await change({ ...token, Origin: `https://${HOST}` })).status).toBe(200);
    expect((await json("/logout", {}, { Cookie, Origin: "https://evil.example" })).status).toBe(403);
    expect((await door.call("GET", "/session", { headers: { Cookie } })).status).toBe(200);
    const out = await json("/logout", {}, { Cookie });
    expect([out.status, out.headers.get("set-cookie")]).toEqual([204, expect.stringContaining("Max-Age=0")]);
    expect((await door.call("GET", "/v1/account", { headers: { Cookie } })).status).toBe(401);
  });

  test("is told alike of an unknown address, a wrong password and somebody without a place", async () => {
    const { email, key } = await newOwner(door);
    const gone = await newPerson(door, { key }, { email: "gone@acme.example", role: "viewer" });
    await door.call("DELETE", `/v1/members/${gone.id}`, { key });
    const tries = [
      { email, password: "wrong wrong wrong" },
      { email: "nobody@acme.example", password: PASSWORD },
      { email: "gone@acme.example", password: PASSWORD },
      { email: "\u0000", password: PASSWORD },
    ];
    for (const body of tries) {
      const { status, body: problem } = await json("/login", body);
      expect([status, problem.type, problem.detail]).toEqual([
        401,
        "/problems/log-in-failed",
        "This address and password don't belong together.",
      ]);
    }
    expect((await json("/login", { email })).body.errors).toEqual([
      { pointer: "/password", detail: "This is missing." },
    ]);
    expect((await json("/login", [])).status).toBe(422);
  });
});

describe("a person", () => {
  test("logs in by the form, sees who he is, and logs out", async () => {
    const { email, browser } = await newOwner(door);
    const page = await browser.get("/account");
    expect(page.text).toContain(`(${email}), owner`);
    expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; style-src 'self' 'nonce-/);
    expect(page.headers.get("cache-control")).toBe("no-store");
    expect(page.headers.get("x-frame-options")).toBe("DENY");
    const old = browser.cookie();
    expect((await browser.submit(page, {}, "/logout")).url).toBe("/login");
    browser.setCookie(old);
    expect((await browser.get("/account")).url).toBe("/login");
  });

  test("is led to a path of ours, whatever the link said", async () => {
    const { email } = await newOwner(door);
    const wanted = [
      "https://evil.example",
      "//evil.example",
      "/\\evil.example",
      "/account@evil",
      "javascript:alert(1)",
    ];
    for (const next of wanted) {
      const browser = openBrowser(door);
      const page = await browser.get(`/login?next=${encodeURIComponent(next)}`);
      expect((await browser.submit(page, { email, password: PASSWORD })).url, next).toBe("/account");
    }
    const browser = openBrowser(door);
    const page = await browser.get("/login?next=/account/password");
    expect((await browser.submit(page, { email, password: PASSWORD })).url).toBe("/account/password");
  });

  test("is told in words what was wrong, and what he typed is no markup", async () => {
    const browser = openBrowser(door);
    const page = await logIn(browser, `"><script>alert(1)</script>@x.example`, "wrong");
    expect(page.status).toBe(401);
    expect(page.html).toContain(`role="alert"`);
    expect(page.html).not.toContain("<script>");
  });

  test("whose session has not been used for an hour has to log in again", async () => {
    const { browser } = await newOwner(door);
    const age = (column: string, ms: number) =>
      pool.query(`update session set ${column} = ${column} - make_interval(secs => $1)`, [ms / 1000]);
    await age("seen_at", IDLE_MS - 60_000);
    expect((await browser.get("/account")).url).toBe("/account");
    await age("seen_at", IDLE_MS + 60_000);
    expect((await browser.get("/account")).url).toBe("/login");
  });

  test("whose session is twelve hours old has to log in again", async () => {
    const { browser } = await newOwner(door);
    await pool.query("update session set expires_at = pm_now() - interval '1 s'");
    expect((await browser.get("/account")).url).toBe("/login");
  });
});

test("a form that hides where it comes from is refused, so our pages tell browsers to say it to our own host, and to no other", async () => {
  const { email } = await newOwner(door);
  const browser = openBrowser(door);
  const page = await browser.get("/login");
  expect(page.headers.get("referrer-policy")).toBe("same-origin");
  expect((await browser.post("/login", { email, password: PASSWORD }, { Origin: "null" })).status).toBe(403);
  expect((await browser.submit(page, { email, password: PASSWORD })).url).toBe("/account");
});

describe("five failures", () => {
  test("lock the address for this network, with the right password too, and for no other network", async () => {
    const { email } = await newOwner(door);
    const attacker = openBrowser(door, "198.51.100.9");
    for (let i = 0; i < 4; i += 1) expect((await logIn(attacker, email, "wrong wrong wrong")).status).toBe(401);
    expect((await logIn(attacker, email, "wrong wrong wrong")).status).toBe(429);
    expect((await logIn(attacker, email)).status).toBe(429);
    expect((await logIn(openBrowser(door, "203.0.113.5"), email)).url).toBe("/account");
    const owner = await newOwner(door);
    expect((await logIn(openBrowser(door, "198.51.100.9"), owner.email)).url).toBe("/account");
  });

  test("of a subaccount's person are seen by the master, who unlocks them", async () => {
    const master = await newMaster(door);
    const shop = await newSubaccount(door, master);
    await newPerson(door, { key: master.key, account: shop.id }, { email: "pat@shop.example", role: "owner" });
    const browser = openBrowser(door, "198.51.100.10");
    for (let i = 0; i < 5; i += 1) await logIn(browser, "pat@shop.example", "wrong wrong wrong");
    const { body } = await door.call("GET", `/v1/subaccounts/${shop.id}/locks`, { key: master.key });
    expect(body.data).toMatchObject([{ name: "pat@shop.example", network: "198.51.100.10" }]);
    expect((await logIn(browser, "pat@shop.example")).status).toBe(429);
    const stranger = await newMaster(door);
    expect((await door.call("POST", `/v1/subaccounts/${shop.id}/unlock`, { key: stranger.key })).status).toBe(404);
    const unlocked = await door.call("POST", `/v1/subaccounts/${shop.id}/unlock`, { key: master.key });
    expect(unlocked.body).toEqual({ unlocked: 1 });
    await expect.poll(async () => (await logIn(browser, "pat@shop.example")).url).toBe("/account");
  });
});

describe("a second factor", () => {
  async function enrolled() {
    const owner = await newOwner(door);
    const { browser } = owner;
    const start = await browser.submit(await browser.get("/account/second-factor"), {});
    const secret = /<code>([^<]+)<\/code>/.exec(start.html)?.[1]?.replaceAll(" ", "") ?? "";
    const code = (atMs = door.database.clock.now().getTime()) => new TOTP({ secret }).generate({ timestamp: atMs });
    const wrong = await browser.submit(start, { code: "000000" }, "/account/second-factor/confirm");
    expect(wrong.status).toBe(422);
    const before = browser.cookie();
    const codes = await browser.submit(start, { code: code() }, "/account/second-factor/confirm");
    const recovery = /<pre>([^<]+)<\/pre>/.exec(codes.html)?.[1]?.split("\n") ?? [];
    expect(recovery).toHaveLength(10);
    expect(browser.cookie()).not.toBe(before); // a new token for what may do more
    return { ...owner, code, recovery };
  }

  test("is asked for after the password, and each code works once", async () => {
    const { email, code, recovery } = await enrolled();
    const next = code(door.database.clock.now().getTime() + 30_000);
    const browser = openBrowser(door);
    const step = await logIn(browser, email);
    expect(step.text).toContain("Second factor");
    expect(browser.cookie()).toBeUndefined();
    expect((await browser.submit(step, { totp: code() })).status).toBe(401); // used to confirm
    expect((await browser.submit(step, { totp: next })).url).toBe("/account");
    expect((await openBrowser(door).submit(step, { totp: next })).status).toBe(401);
    const [first = ""] = recovery;
    expect((await openBrowser(door).submit(step, { totp: first.toUpperCase() })).url).toBe("/account");
    expect((await openBrowser(door).submit(step, { totp: first })).status).toBe(401);
  });

  test("is not got round by a proof of another's, or an old one", async () => {
    const ann = await enrolled();
    const bob = await enrolled();
    const browser = openBrowser(door, "192.0.2.44");
    const step = await logIn(browser, bob.email);
    const proof = /name="proof" value="([^"]+)"/.exec(step.html)?.[1] ?? "";
    const fresh = ann.code(door.database.clock.now().getTime() + 30_000);
    const forged = await browser.post("/login", { email: ann.email, proof, totp: fresh });
    expect(forged.status).toBe(401);
    expect((await json("/login", { email: ann.email, password: PASSWORD })).body.type).toBe(
      "/problems/second-factor-required",
    );
  });

  test("twenty who use one recovery code at the same time: one gets in", async () => {
    const { email, recovery } = await enrolled();
    const step = await logIn(openBrowser(door), email);
    const browsers = Array.from({ length: 20 }, (_, i) => openBrowser(door, `192.0.2.${100 + i}`));
    const pages = await Promise.all(browsers.map((browser) => browser.submit(step, { totp: recovery[0] ?? "" })));
    expect(pages.filter(({ url }) => url === "/account")).toHaveLength(1);
  });

  test("that the account asks for has to be set up before anything else", async () => {
    const { browser, key, masterId } = await newOwner(door);
    await door.call("PATCH", "/v1/account", { key, body: { enforce_2fa: true } });
    expect((await browser.get("/account")).url).toBe("/account/second-factor");
    const refused = await browser.api("GET", "/v1/account");
    expect([refused.status, refused.body.type]).toEqual([403, "/problems/action-required"]);
    expect((await door.call("GET", "/v1/account", { key })).body).toMatchObject({ id: masterId, enforce_2fa: true });
    const start = await browser.submit(await browser.get("/account/second-factor"), {});
    const secret = /<code>([^<]+)<\/code>/.exec(start.html)?.[1]?.replaceAll(" ", "") ?? "";
    const timestamp = door.database.clock.now().getTime();
    await browser.submit(
      start,
      { code: new TOTP({ secret }).generate({ timestamp }) },
      "/account/second-factor/confirm",
    );
    expect((await browser.api("GET", "/v1/account")).status).toBe(200);
  });
});

describe("a forgotten password", () => {
  test("is set by a link of an hour: once, all sessions end, and the owner is told", async () => {
    const { email, browser } = await newOwner(door);
    const asked = await openBrowser(door).post("/reset", { email: ` ${email.toUpperCase()} ` });
    const unknown = await openBrowser(door).post("/reset", { email: "nobody@acme.example" });
    expect(asked.text).toBe(unknown.text);
    const before = (await letters(door)).length;
    expect(await runResets(door)).toBe(2);
    expect((await letters(door)).length).toBe(before + 1);
    const { path, subject, text } = await lastLetter(door, email);
    expect(subject).toBe("A new password for Postmeter");
    expect(text).toContain("works once");
    const page = await browser.get(path);
    expect((await browser.submit(page, { password: "short" })).status).toBe(422);
    expect((await browser.submit(page, { password: "red pears under a tree" })).url).toBe("/login");
    expect((await browser.submit(page, { password: "another long enough" })).status).toBe(410);
    expect((await browser.get("/account")).url).toBe("/login");
    expect((await logIn(openBrowser(door), email, PASSWORD)).status).toBe(401);
    expect((await logIn(openBrowser(door), email, "red pears under a tree")).url).toBe("/account");
    expect((await lastLetter(door, email)).subject).toBe("Your password for Postmeter was changed");
  });

  test("asked for again: the first link is void; expired and forged ones say so; a GET uses none up", async () => {
    const { email } = await newOwner(door);
    const browser = openBrowser(door);
    const ask = async () => {
      await browser.post("/reset", { email });
      await runResets(door);
      return (await lastLetter(door, email)).path;
    };
    const [first, second] = [await ask(), await ask()];
    expect((await browser.get(first)).status).toBe(410);
    for (let i = 0; i < 3; i += 1) expect((await browser.get(second)).status).toBe(200);
    expect((await browser.get(`${second.slice(0, -1)}a`)).status).toBe(410);
    expect((await browser.get(second.replace("/reset/", "/invite/"))).status).toBe(410);
    await pool.query("update link set expires_at = pm_now()");
    expect((await browser.get(second)).text).toContain("expired");
    expect((await browser.post(second, { password: PASSWORD })).status).toBe(410);
  });

  test("twenty who use one link at the same time: one sets the password", async () => {
    const { email } = await newOwner(door);
    const browser = openBrowser(door);
    await browser.post("/reset", { email });
    await runResets(door);
    const { path } = await lastLetter(door, email);
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        openBrowser(door).post(path, { password: `password number ${i} of twenty` }),
      ),
    );
    expect(all.filter(({ url }) => url === "/login")).toHaveLength(1);
    expect(all.filter(({ status }) => status === 410)).toHaveLength(19);
  });

  test("is asked for five times an hour at most", async () => {
    const { email } = await newOwner(door);
    const before = (await letters(door)).length;
    for (let i = 0; i < 8; i += 1) await openBrowser(door).post("/reset", { email });
    expect(await runResets(door)).toBe(8);
    expect((await letters(door)).length).toBe(before + 5);
  });

  test("its link is ours, whatever host the request named", async () => {
    const { email } = await newOwner(door);
    const forged = { Host: "evil.example", Origin: "https://evil.example", "X-Forwarded-Host": "evil.example" };
    await openBrowser(door).post("/reset", { email }, forged);
    await runResets(door);
    const { text, html } = await lastLetter(door, email);
    expect(`${text}${html}`).not.toContain("evil");
    expect(text).toContain("https://relay.example/reset/");
  });
});

test("the operator's people log in too, and a role is not more than it says", async () => {
  await newPerson(door, { key: OPERATOR_KEY }, { email: "op@relay.example", role: "viewer" });
  const browser = openBrowser(door);
  await logIn(browser, "op@relay.example");
  expect((await browser.api("GET", "/v1/masters")).status).toBe(200);
  const { csrf_token: token } = (await browser.api("GET", "/session")).body;
  const body = { name: "New", allowance: 1, notification_emails: ["a@b.example"] };
  const made = await browser.api("POST", "/v1/masters", { body, headers: { "X-CSRF-Token": token } });
  expect([made.status, made.body.type]).toEqual([403, "/problems/forbidden"]);
});
