/** Bodies and queries as a whole: what is no JSON, too much, or no such parameter. */
import { describe, expect, test } from "vitest";
import { MAX_BODY_BYTES } from "../../src/api/request-body.ts";
import { openDoor } from "./client.ts";
import { createWorld } from "./world.ts";

const door = await openDoor();
const world = await createWorld(door);
const { key } = world.master;

describe("the body as a whole", () => {
  const post = (body: string, headers: Record<string, string> = {}) =>
    door.call("POST", "/v1/subaccounts", { key, body, headers });

  test.each([
    "",
    "{",
    '{"name":',
    "undefined",
    "{'name': 1}",
    "[1,]",

    '{"a":1}{"b":2}',
    "[".repeat(100_000),
  ])("%s is 400: it is not JSON", async (body) => {
    const answer = await post(body.slice(0, 200_000));
    expect([answer.status, answer.body.type]).toEqual([400, "/problems/bad-json"]);
  });

  test.each(["null", "1", '"x"', "[]", "[{}]", "true"])("%s is 422: it is JSON, but no object", async (body) => {
    expect((await post(body)).status).toBe(422);
  });

  test.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=latin1",
    "text/json",
    "application/jsonx",
  ])("%s is 415", async (type) => {
    const answer = await post("{}", { "Content-Type": type });
    expect([answer.status, answer.body.type]).toEqual([415, "/problems/unsupported-media-type"]);
    expect(answer.headers.get("accept")).toContain("application/json");
  });

  test.each([
    "application/json",
    "Application/JSON; charset=utf-8",
    'application/json;charset="UTF-8"',
    "application/merge-patch+json",
  ])("%s is taken", async (type) => {
    expect((await post("{}", { "Content-Type": type })).status).toBe(422);
  });

  test("more bytes than allowed are 413, announced or not", async () => {
    const body = JSON.stringify({ name: "x".repeat(MAX_BODY_BYTES) });
    expect((await post(body)).status).toBe(413);
    const stream = new ReadableStream({
      pull: (controller) => controller.enqueue(new TextEncoder().encode(" ".repeat(65_536))),
    });
    const request = new Request("http://x/v1/subaccounts", {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: stream,
      duplex: "half",
    } as RequestInit);
    expect((await door.app.app.request(request)).status).toBe(413);
  });

  test("bytes that are no UTF-8 are 400", async () => {
    const request = new Request("http://x/v1/subaccounts", {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: Buffer.from('{"name":"\xff\xfe"}', "latin1"),
    });
    expect((await door.app.app.request(request)).status).toBe(400);
  });

  test("a body where none is needed may be left out", async () => {
    const { sub } = world.sibling.things;
    expect((await door.call("POST", `/v1/subaccounts/${sub}/disable`, { key })).status).toBe(200);
    expect((await door.call("POST", `/v1/subaccounts/${sub}/enable`, { key, body: {} })).status).toBe(200);
  });
});

describe("the query", () => {
  test.each([
    ["/v1/subaccounts?limit=0", "/limit"],
    ["/v1/subaccounts?limit=101", "/limit"],
    ["/v1/subaccounts?limit=x", "/limit"],
    ["/v1/subaccounts?limit=1e1", "/limit"],
    ["/v1/subaccounts?limit=", "/limit"],
    ["/v1/subaccounts?limit=1&limit=2", "/limit"],
    ["/v1/subaccounts?limits=1", "/limits"],
    ["/v1/subaccounts?cursor=x", "/cursor"],
    ["/v1/subaccounts?cursor=", "/cursor"],
    ["/v1/subaccounts?cursor=%00", "/cursor"],
    ["/v1/subaccounts?sort=secret", "/sort"],
    ["/v1/subaccounts?sort=name,name", "/sort"],
    ["/v1/subaccounts?sort=name;drop table master", "/sort"],
    ["/v1/subaccounts?state=alive", "/state"],
    ["/v1/subaccounts?used_percent_gte=-1", "/used_percent_gte"],
    ["/v1/subaccounts?used_percent_gte=NaN", "/used_percent_gte"],
    ["/v1/subaccounts?q=%00", "/q"],
    ["/v1/subaccounts?with_own=maybe", "/with_own"],
    ["/v1/messages?state=lost", "/state"],
    ["/v1/messages?subaccount_id=x", "/subaccount_id"],
    ["/v1/messages?recipient=%0d%0a", "/recipient"],
    ["/v1/events?type=message.lost", "/type"],
    ["/v1/usage?period=2026-13-01", "/period"],
    ["/v1/usage?period=yesterday", "/period"],
    ["/v1/usage?period=2026-11-02", "/period"],
    ["/v1/usage/subaccounts?period=2026-11-02", "/period"],
    [`/v1/subaccounts/${world.customer.things.sub}/usage?period=1`, "/period"],
    [`/v1/subaccounts/${world.customer.things.sub}/usage/daily?period=0000-00-00`, "/period"],
    ["/v1/audit?action=%00", "/action"],
    ["/v1/captured?recipient=", "/recipient"],
    ["/v1/domains?own=1", "/own"],
  ])("%s is 422 at %s", async (path, pointer) => {
    const answer = await door.call("GET", path, { key });
    expect([answer.status, answer.body.errors?.[0]?.pointer], answer.text).toEqual([422, pointer]);
  });
});

describe("odd encodings", () => {
  test.each([
    "/v1/messages/%E0%A4%A",
    "/v1/messages/%",
    "/v1/messages/%2e%2e%2f",
    "/v1/messages/%00",
    "/v1/statements/%ff%fe",
    "//v1/account",
    "/v1//account",
  ])("%s is 404", async (path) => {
    expect((await door.call("GET", path, { key })).status).toBe(404);
  });

  test.each(["q=%E0%A4%A", "q=%", "q", "=x", "a[b]=1", "__proto__=1", "q=a&q=b", "constructor=1"])(
    "the query %s is answered, never with a failure",
    async (query) => {
      expect([200, 422]).toContain((await door.call("GET", `/v1/subaccounts?${query}`, { key })).status);
    },
  );
});
