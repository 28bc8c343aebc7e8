/** Paths where there is nothing: a page for a browser, a problem for a program. */
import { describe, expect, test } from "vitest";
import { openDoor } from "../api/client.ts";
import { openBrowser, openPortal } from "./browser.ts";

const door = await openPortal();
const CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";

const ask = (path: string, accept: string | undefined, method = "GET") =>
  door.call(method, path, { headers: accept === undefined ? {} : { Accept: accept } });
const look = async (path: string, accept: string, method = "GET") => {
  const response = await door.app.app.request(path, { method, headers: { Accept: accept } });
  return { status: response.status, headers: response.headers, text: await response.text() };
};

describe("a browser", () => {
  test.each(["/nothing", "/acount", "/account/nothing", "/v1x", "/mailbox/", "/%00", "/login/%ff", "/raise"])(
    "at %s is shown a page that says so",
    async (path) => {
      const { status, headers, text } = await look(path, CHROMIUM);
      expect(status).toBe(404);
      expect(headers.get("content-type")).toBe("text/html; charset=UTF-8");
      expect(headers.get("content-security-policy")).toMatch(/^default-src 'none'; style-src 'self' 'nonce-/);
      expect(headers.get("cache-control")).toBe("no-store");
      expect(text).toMatch(/<html lang="en">/);
      expect(text).toContain("<title>There is no such page - Postmeter</title>");
      expect(text).toContain("<h1>There is no such page</h1>");
      expect(text).toContain('<a href="/account">');
      expect(text).not.toContain('nothing"'); // nothing of what was asked for is on the page
    },
  );

  test("at a path that knows another method is told which", async () => {
    const { status, headers, text } = await look("/account/switch", CHROMIUM);
    expect([status, headers.get("allow")]).toEqual([405, "POST"]);
    expect(text).toContain("<h1>There is no such page</h1>");
  });

  test("that sends a form to nowhere is shown the page too", async () => {
    expect((await openBrowser(door).post("/nothing", { email: "a@b.example" })).html).toContain(
      "There is no such page",
    );
  });

  test("that asks for the head alone gets no body", async () => {
    expect(await look("/nothing", CHROMIUM, "HEAD")).toMatchObject({ status: 404, text: "" });
  });
});

describe("a program", () => {
  // door.call holds every answer of 400 and more against the shape of a problem
  test.each([
    undefined,
    "",
    "*/*",
    "application/json",
    "application/problem+json",
    "application/json, text/html;q=0.9",
    "text/html;q=0.5, application/problem+json",
    "text/html, application/json",
    "text/html;q=0",
    "text/html;q=NaN",
    "text/html;q=Infinity",
    "text/html;q=-1",
    "text/html;q=0, */*",
    "text/*;q=0.1, */*;q=0.2",
    "image/png",
    "text/htmlx",
    "nothing",
    ";;;,,,;q=;q",
    `${"text/html;q=0,".repeat(1000)}*/*`,
    "text/html;q=0, text/html",
    "\ttext /html",
  ])("that accepts %j gets a problem", async (accept) => {
    for (const path of ["/nothing", "/account/nothing"]) {
      const { status, body } = await ask(path, accept);
      expect([status, body.type]).toEqual([404, "/problems/not-found"]);
    }
    expect((await ask("/account/switch", accept)).body.type).toBe("/problems/method-not-allowed");
  });

  test.each(["/v1", "/v1/", "/v1/nothing", "/v1/nothing/else", "/problems/nothing", "/openapi.json/x", "/healthz/x"])(
    "at %s gets a problem, also where it says that it is a browser",
    async (path) => {
      expect((await ask(path, CHROMIUM)).status).toBe(404);
      expect((await ask(path, "text/html")).status).toBe(404);
    },
  );
});

test("control: a door without pages answers everybody with a problem", async () => {
  const bare = await openDoor();
  const answer = await bare.call("GET", "/nothing", { headers: { Accept: CHROMIUM } });
  expect([answer.status, answer.body.type]).toEqual([404, "/problems/not-found"]);
});
