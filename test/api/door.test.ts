/** The frame: what every answer has, what is logged, and how failures of our own look from outside. */
import { describe, expect, test } from "vitest";
import { openDatabase } from "../../src/platform/database.ts";
import { Fault } from "../../src/platform/errors.ts";
import { createMetrics } from "../../src/platform/metrics.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { newMaster, OPERATOR_KEY, openDoor } from "./client.ts";

const door = await openDoor();
const { call, lines } = door;
const master = await newMaster(door);

describe("paths and methods", () => {
  test.each([
    "/",
    "/v1",
    "/v1/",
    "/v1/nope",
    "/v1/subaccounts/",
    "/v2/usage",
    "/docs/../package.json",
    "/docs/x.js",
    "/mailbox/",
    "/problems/nope",
  ])("%s is 404, as a problem, with and without a key", async (path) => {
    for (const key of [undefined, master.key]) {
      const answer = await call("GET", path, key === undefined ? {} : { key });
      expect([answer.status, answer.body.type]).toEqual([404, "/problems/not-found"]);
    }
  });

  test.each([
    ["PUT", "/v1/subaccounts", "GET, HEAD, POST"],
    ["DELETE", "/v1/usage", "GET, HEAD"],
    ["POST", "/v1/messages", "GET, HEAD"],
    ["GET", "/v1/keys/key_x", "DELETE"],
    ["OPTIONS", "/v1/account", "GET, HEAD, PATCH"],
    ["POST", "/healthz", "GET, HEAD"],
    ["BREW", "/v1/account", "GET, HEAD, PATCH"],
  ])("%s %s is 405 and names what goes", async (method, path, allow) => {
    const answer = await call(method, path, { key: master.key });
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, allow]);
  });

  test("HEAD is GET without a body", async () => {
    const answer = await call("HEAD", "/v1/account", { key: master.key });
    expect([answer.status, answer.text]).toEqual([200, ""]);
    expect(answer.headers.get("etag")).not.toBeNull();
  });
});

describe("headers", () => {
  test("answers of the API may not be framed, sniffed, cached or run", async () => {
    for (const answer of [await call("GET", "/v1/account", { key: master.key }), await call("GET", "/v1/account")]) {
      expect(answer.headers.get("cache-control")).toBe("no-store");
      expect(answer.headers.get("content-security-policy")).toContain("default-src 'none'");
      expect(answer.headers.get("x-frame-options")).toBe("DENY");
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
      expect(answer.headers.get("x-powered-by")).toBeNull();
    }
  });

  test.each([
    "Basic eDp5",
    "bearer",
    "Bearer",
    "Bearer  ",
    `Bearer ${"x".repeat(5000)}`,
    "Bearer a b",
    "Bearer \u00e9",
  ])("Authorization: %s is 401", async (authorization) => {
    expect((await call("GET", "/v1/account", { headers: { Authorization: authorization } })).status).toBe(401);
  });
});

describe("the log", () => {
  test("one line per request, with the route, the caller and no secret", async () => {
    lines.length = 0;
    await call("GET", `/v1/subaccounts/${master.ownSubaccountId}?limit=secret`, { key: master.key });
    await call("GET", "/v1/account", { key: OPERATOR_KEY, account: master.masterId });
    await call("GET", "/nowhere?token=secret");
    const [bad, acting, nowhere] = lines;
    expect(lines.length).toBe(3);
    expect(bad).toMatchObject({
      event: "api.request",
      method: "GET",
      route: "/v1/subaccounts/{id}",
      account: master.masterId,
    });
    expect(bad?.principal).toMatch(/^key_/);
    expect(acting).toMatchObject({
      route: "/v1/account",
      principal: "operator",
      account: master.masterId,
      status: 200,
    });
    expect(nowhere).toMatchObject({ route: "none", status: 404, principal: null });
    expect(JSON.stringify(lines)).not.toMatch(/secret|pm_live|pm_op|limit=/);
    expect(typeof acting?.ms).toBe("number");
  });

  test("the instance of a problem is that of its line", async () => {
    lines.length = 0;
    const answer = await call("GET", "/v1/account");
    expect(answer.body.instance).toMatch(/^urn:uuid:[0-9a-f-]{36}$/);
    expect(lines[0]?.instance).toBe(answer.body.instance);
  });

  test("requests are counted by class of status alone", async () => {
    const metrics = createMetrics();
    const other = await openDoor({ metrics });
    await other.call("GET", "/v1/account");
    const text = await metrics.registry.metrics();
    expect(text).toContain('postmeter_api_requests_total{status="4xx"} 1');
  });
});

describe("failures of our own", () => {
  const secret = "secret-of-the-database select password from master at /srv/app/src/x.ts:1:2";
  const failing = (error: unknown) =>
    openDoor({ allowFailures: true, authenticator: { forget: () => {}, key: () => Promise.reject(error) } });

  test("what nobody expected is a plain 500; the log knows why, under the same instance", async () => {
    const broken = await failing(new Error(secret));
    const answer = await broken.call("GET", "/v1/account", { key: "x" });
    expect([answer.status, answer.body.type]).toEqual([500, "/problems/internal"]);
    expect(answer.text).not.toContain("secret");
    const line = broken.lines.find(({ event }) => event === "api.failed");
    expect(line).toMatchObject({ instance: answer.body.instance, error: { message: secret } });
    expect(broken.lines.at(-1)).toMatchObject({ event: "api.request", status: 500, instance: answer.body.instance });
  });

  test.each([
    [
      "a database that is away",
      Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", syscall: "connect" }),
    ],
    ["a lock that is not given", Object.assign(new Error(secret), { code: "55P03" })],
    ["a statement that takes too long", Object.assign(new Error(secret), { code: "57014" })],
    ["a rule that says so", new Fault("unavailable", "The DNS did not answer.")],
  ])("%s is 503: try again", async (_, error) => {
    const answer = await (await failing(error)).call("GET", "/v1/account", { key: "x" });
    expect([answer.status, answer.body.type]).toEqual([503, "/problems/unavailable"]);
    expect(answer.text).not.toContain("secret");
  });

  test("an answer that is lost at COMMIT is 503 and says that the change may have been done, as it was", async () => {
    const proxy = await startCuttingProxy(door.database.url, "commit");
    await using cut = openDatabase({ url: proxy.url, max: 1 });
    await cut.pool.query("select 1"); // what a new connection sets holds the word, too
    const broken = await openDoor({ db: cut.db, authenticator: door.deps.authenticator });
    const over = proxy.cutNext("answer");
    const call = { key: master.key, body: { name: "Renamed at COMMIT" } };
    const answer = await broken.call("PATCH", "/v1/account", call);
    await over;
    expect([answer.status, answer.body.type]).toEqual([503, "/problems/unconfirmed"]);
    expect(answer.body.detail).toMatch(/may have been done\. Read it/);
    expect(answer.headers.get("retry-after")).toBeNull();
    expect((await door.call("GET", "/v1/account", { key: master.key })).body.name).toBe("Renamed at COMMIT");
  });

  test("a value that is thrown and is no error is a 500 all the same", async () => {
    const answer = await (await failing(secret)).call("GET", "/v1/account", { key: "x" });
    expect(answer.status).toBe(500);
  });

  test("a gate that can't be told does not undo the change", async () => {
    const broken = await openDoor({ publish: () => Promise.reject(new Error("redis is away")) });
    const tenant = await newMaster(broken);
    const changed = await broken.call("PATCH", "/v1/account", { key: tenant.key, body: { name: "Other" } });
    expect([changed.status, changed.body.name]).toEqual([200, "Other"]);
    expect(broken.lines.some(({ event }) => event === "api.publish_failed")).toBe(true);
  });
});

describe("health", () => {
  test("alive is alive, also when nothing works; ready names what does not", async () => {
    const sick = await openDoor({ ready: async () => ["the database can't be reached"] });
    expect((await sick.call("GET", "/healthz")).body).toEqual({ status: "ok" });
    const answer = await sick.app.app.request("/readyz");
    expect(answer.status).toBe(503);
    expect(await answer.json()).toEqual({ status: "unavailable", problems: ["the database can't be reached"] });
    const broken = await openDoor({ ready: () => Promise.reject(new Error("secret")) });
    const failed = await broken.app.app.request("/readyz");
    expect([failed.status, await failed.text()]).toEqual([503, expect.not.stringContaining("secret")]);
    expect((await call("GET", "/readyz")).body).toEqual({ status: "ok", problems: [] });
  });
});

describe("pages", () => {
  test.each(["/docs", "/mailbox"])("%s loads nothing from elsewhere and runs no inline script", async (path) => {
    const page = await call("GET", path);
    expect(page.headers.get("content-type")).toContain("text/html");
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(page.text).not.toMatch(/<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|<style|https?:\/\//);
    for (const [, url] of page.text.matchAll(/(?:src|href)="([^"]+)"/g)) {
      if (url?.startsWith("data:")) continue;
      expect(url).toMatch(/^\//);
      expect((await call("GET", url ?? "")).status, url).toBe(200);
    }
  });

  test("the mailbox puts nothing into the page but text", async () => {
    const { text } = await call("GET", "/mailbox/mailbox.js");
    expect(text).not.toMatch(/innerHTML|outerHTML|insertAdjacent|document\.write|eval|new Function|https?:\/\//);
  });

  test("the documentation shows our own document and asks no other host", async () => {
    const { text } = await call("GET", "/docs/docs.js");
    expect(text).toContain('url: "/openapi.json"');
    expect(text).toContain("validatorUrl: null");
  });

  test("each problem's type leads to what it means", async () => {
    const { body } = await call("GET", "/v1/nope");
    const page = await call("GET", body.type);
    expect([page.status, page.text]).toEqual([200, "404 There is no such thing.\n"]);
  });
});

describe("metrics on the API's port", () => {
  test("are the operator's alone for whoever is not on this machine", async () => {
    expect((await call("GET", "/metrics")).status).toBe(401);
    expect((await call("GET", "/metrics", { key: master.key })).status).toBe(403);
    const answer = await call("GET", "/metrics", { key: OPERATOR_KEY });
    expect(answer.headers.get("content-type")).toContain("text/plain");
    expect(answer.text).toContain("postmeter_api_requests_total");
    expect(answer.text).not.toMatch(/mas_|sub_|key_/);
  });

  test("are not there when they have a port of their own", async () => {
    const config = { ...door.deps.config, metricsPort: 9999 };
    const other = await openDoor({ config });
    expect((await other.call("GET", "/metrics", { key: OPERATOR_KEY })).status).toBe(404);
  });
});
