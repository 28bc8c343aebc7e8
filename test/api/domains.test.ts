import { describe, expect, test } from "vitest";
import { testDns } from "../support/dns.ts";
import { apiConfig, newMaster, newSubaccount, openDoor } from "./client.ts";

const dns = await testDns();
const door = await openDoor({ config: { ...apiConfig, dnsServers: [dns.server] } });
const { call } = door;
const master = await newMaster(door);
const stranger = await newMaster(door);
const child = await newSubaccount(door, master);
const { key } = master;

async function add(name: string, path = `/v1/subaccounts/${child.id}/domains`, by = key) {
  const answer = await call("POST", path, { key: by, body: { name } });
  expect(answer.status, answer.text).toBe(201);
  return answer.body;
}

const publish = ({ records: [record] }: { records: { name: string; value: string }[] }) =>
  dns.set(record?.name ?? "", { TXT: [record?.value ?? ""] });

describe("domains", () => {
  test("are pending until their record is found, and then verified", async () => {
    const made = await add("Shop.Example");
    expect(made).toMatchObject({ name: "shop.example", state: "pending", subaccount_id: child.id });
    expect(made.records).toMatchObject([{ type: "TXT", name: "_postmeter.shop.example", found: false }]);
    const path = `/v1/domains/${made.id}`;
    expect((await call("POST", `${path}/verify`, { key: child.key })).body.state).toBe("failed");
    publish(made);
    const verified = await call("POST", `${path}/verify`, { key: child.key });
    expect(verified.body).toMatchObject({ state: "verified", records: [{ found: true }] });
    expect((await call("GET", path, { key })).body).toEqual(verified.body);
  });

  test("a DNS that does not answer is 503 and changes nothing", async () => {
    const made = await add("silent.example");
    dns.set("_postmeter.silent.example", "servfail");
    expect((await call("POST", `/v1/domains/${made.id}/verify`, { key })).status).toBe(503);
    expect((await call("GET", `/v1/domains/${made.id}`, { key })).body.state).toBe("pending");
  });

  test("the first proof wins: the second tenant's is 409, and is told nothing of the first", async () => {
    const ours = await add("contested.example");
    publish(ours);
    await call("POST", `/v1/domains/${ours.id}/verify`, { key });
    const theirs = await add("contested.example", "/v1/domains", stranger.key);
    publish(theirs);
    const refused = await call("POST", `/v1/domains/${theirs.id}/verify`, { key: stranger.key });
    expect(refused.status).toBe(409);
    expect(refused.text).not.toContain(child.id);
    expect((await call("DELETE", `/v1/domains/${ours.id}`, { key })).status).toBe(204);
    expect((await call("POST", `/v1/domains/${theirs.id}/verify`, { key: stranger.key })).body.state).toBe("verified");
  });

  test("the same name twice in one account is 409", async () => {
    await add("twice.example");
    const again = await call("POST", `/v1/subaccounts/${child.id}/domains`, { key, body: { name: "TWICE.example." } });
    expect([again.status, again.body.errors[0].pointer]).toEqual([409, "/name"]);
  });

  test("a master's own is lent and taken back; the subaccount sees it without its proof", async () => {
    const own = await add("own.example", "/v1/domains");
    publish(own);
    await call("POST", `/v1/domains/${own.id}/verify`, { key });
    const seen = async () =>
      (await call("GET", "/v1/domains", { key: child.key })).body.data.find(({ id }: { id: string }) => id === own.id);
    expect(await seen()).toBeUndefined();
    const grants = `/v1/domains/${own.id}/grants`;
    expect((await call("POST", grants, { key: child.key, body: { all: true } })).status).toBe(403);
    await call("POST", grants, { key, body: { subaccount_ids: [child.id] } });
    expect(await seen()).toMatchObject({ state: "verified", records: [] });
    expect((await call("GET", grants, { key })).body.data).toEqual([{ subaccount_id: child.id }]);
    expect((await call("DELETE", `${grants}/${child.id}`, { key })).status).toBe(204);
    expect(await seen()).toBeUndefined();
    expect((await call("POST", grants, { key, body: { all: true } })).body.granted_to_all).toBe(true);
    expect(await seen()).toBeDefined();
    expect((await call("DELETE", `${grants}/all`, { key })).status).toBe(204);
    expect(await seen()).toBeUndefined();
  });

  test("grants name their mistakes: neither, both, a stranger's", async () => {
    const own = await add("grants.example", "/v1/domains");
    const foreign = await newSubaccount(door, stranger);
    const grant = (body: unknown) => call("POST", `/v1/domains/${own.id}/grants`, { key, body });
    expect((await grant({})).status).toBe(422);
    expect((await grant({ all: true, subaccount_ids: [child.id] })).status).toBe(422);
    const refused = await grant({ subaccount_ids: [child.id, foreign.id] });
    expect([refused.status, refused.body.errors[0].pointer]).toEqual([422, "/subaccount_ids/1"]);
    expect((await call("DELETE", `/v1/domains/${own.id}/grants/${foreign.id}`, { key })).status).toBe(404);
    const lent = await call("POST", `/v1/domains/${(await add("sub.grants.example")).id}/grants`, {
      key,
      body: { all: true },
    });
    expect(lent.status).toBe(409);
  });
});
