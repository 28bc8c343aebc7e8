/** Which brand a host name means, on two nodes, while brands and proofs change. */
import { afterAll, describe, expect, test, vi } from "vitest";
import { listenForChanges } from "../../src/accounts/changes.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { changeBrand } from "../../src/branding/change.ts";
import { brandForHost, createBrandHosts } from "../../src/branding/hosts.ts";
import { removeDomain } from "../../src/domains/remove.ts";
import { fail, prove } from "../support/brands.ts";
import { testDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { silentLog } from "../support/log.ts";
import { operator, tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, clock, url } = database;
const people = tenants(database);
const defaults = { publicUrl: "https://relay.example", systemFrom: "postmeter@relay.example" };

async function node() {
  const changes = await listenForChanges({ url, log: silentLog });
  afterAll(() => changes[Symbol.asyncDispose]());
  const asked = vi.fn();
  const counted = new Proxy(db, {
    get(target, name) {
      if (name === "getExecutor") asked();
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { hosts: createBrandHosts({ db: counted, changes, ours: ["relay.example", "RELAY2.example"] }), asked };
}

const nodes = [await node(), await node()] as const;
const onBoth = (name: string) => Promise.all(nodes.map(async ({ hosts }) => (await hosts.find(name))?.accountId));
const acme = await people.master();
const shop = await people.subaccount(acme);
const other = await people.master();
const masterId = acme.master.id;
const subaccountId = shop.subaccount.id;
const change = (host: string | null, of = acme) => changeBrand(db, of.principal, undefined, { host }, {}, clock);

describe("a host name", () => {
  test("means its brand on every node as soon as it is proven, and nobody's as soon as it is not", async () => {
    expect(await onBoth("mail.acme.example")).toEqual([undefined, undefined]);
    await change("mail.acme.example");
    expect(await onBoth("mail.acme.example")).toEqual([undefined, undefined]);
    const id = await prove(database, "acme.example", masterId);
    await eventually(async () => expect(await onBoth("mail.acme.example")).toEqual([masterId, masterId]));
    await fail(database, id);
    await eventually(async () => expect(await onBoth("mail.acme.example")).toEqual([undefined, undefined]));
    await db.updateTable("sender_domain").set({ state: "verified" }).where("id", "=", id).execute();
    await eventually(async () => expect(await onBoth("mail.acme.example")).toEqual([masterId, masterId]));
    await removeDomain(db, acme.principal, id, clock);
    await eventually(async () => expect(await onBoth("mail.acme.example")).toEqual([undefined, undefined]));
    const again = await prove(database, "acme.example", masterId);
    await eventually(async () => expect(await onBoth("mail.acme.example")).toEqual([masterId, masterId]));
    await change("smtp.acme.example");
    await eventually(async () => {
      expect(await onBoth("mail.acme.example")).toEqual([undefined, undefined]);
      expect(await onBoth("smtp.acme.example")).toEqual([masterId, masterId]);
    });
    await removeDomain(db, acme.principal, again, clock);
  });

  test("that another proves on a longer name is no longer the first one's", async () => {
    await prove(database, "acme.example", masterId);
    await change("mail.acme.example");
    await eventually(async () => expect(await onBoth("mail.acme.example")).toEqual([masterId, masterId]));
    const id = await prove(database, "mail.acme.example", other.master.id);
    await eventually(async () => expect(await onBoth("mail.acme.example")).toEqual([undefined, undefined]));
    await change("mail.acme.example", other);
    const theirs = other.master.id;
    await eventually(async () => expect(await onBoth("mail.acme.example")).toEqual([theirs, theirs]));
    await removeDomain(db, other.principal, id, clock);
    await eventually(async () => expect(await onBoth("mail.acme.example")).toEqual([masterId, masterId]));
  });

  test("of a brand that is deleted with its account is nobody's", async () => {
    await changeBrand(db, acme.principal, subaccountId, { host: "shop.acme.example" }, {}, clock);
    await eventually(async () => expect(await onBoth("shop.acme.example")).toEqual([subaccountId, subaccountId]));
    await db.deleteFrom("brand").where("account_id", "=", subaccountId).execute();
    await eventually(async () => expect(await onBoth("shop.acme.example")).toEqual([undefined, undefined]));
  });

  test("is found whatever its case, and ours and what is none without a question", async () => {
    const [{ hosts, asked }] = nodes;
    expect(await hosts.find("MAIL.Acme.Example.")).toMatchObject({
      host: "mail.acme.example",
      masterId,
      subaccountId: null,
    });
    asked.mockClear();
    for (const name of [
      "relay.example",
      "Relay2.Example",
      "localhost",
      "",
      "10.0.0.1",
      "[::1]",
      "a b",
      "x".repeat(5000),
      "\0",
    ])
      expect(hosts.find(name)).toBeUndefined();
    expect(asked).not.toHaveBeenCalled();
  });

  test("costs no question while nothing that concerns it changes, whether it is somebody's or nobody's", async () => {
    const [{ hosts, asked }] = nodes;
    await hosts.find("mail.acme.example");
    asked.mockClear();
    await hosts.find("nobody.example");
    expect(asked).toHaveBeenCalled();
    asked.mockClear();
    await transitionSubaccount(db, operator, subaccountId, "disable", {}, clock);
    await prove(database, "elsewhere.example", other.master.id);
    for (let n = 0; n < 50; n += 1) {
      expect((await hosts.find("mail.acme.example"))?.masterId).toBe(masterId);
      expect(await hosts.find("nobody.example")).toBeUndefined();
    }
    expect(asked).not.toHaveBeenCalled();
  });
});

describe("a page that is asked for by a Host header", () => {
  const page = (header: string | undefined) => brandForHost(db, nodes[0].hosts, header, defaults);

  test("is in the brand of a proven host, with a port or without", async () => {
    await changeBrand(db, acme.principal, undefined, { productName: "Acme Mail" }, {}, clock);
    for (const header of ["mail.acme.example", "MAIL.acme.example:8443"])
      expect(await page(header)).toMatchObject({
        brand: { productName: "Acme Mail", origin: "https://mail.acme.example" },
        masterId,
        subaccountId: null,
      });
  });

  test.each([
    undefined,
    "",
    "relay.example",
    "evil.example",
    "mail.acme.example@evil.example",
    "mail.acme.example:",
    "mail.acme.example, x",
  ])("is ours for %j", async (header) => expect(await page(header)).toBeUndefined());
});

test("control: a node that does not hear of changes goes on with a host that is not proven any more", async () => {
  const changes = await listenForChanges({ url, log: silentLog });
  afterAll(() => changes[Symbol.asyncDispose]());
  const hosts = createBrandHosts({ db, changes: { ...changes, subscribe: () => {} }, ours: [] });
  await changeBrand(db, other.principal, undefined, { host: "mail.other.example" }, {}, clock);
  const id = await prove(database, "other.example", other.master.id);
  await eventually(async () => {
    await hosts.find("mail.other.example");
    expect(hosts.find("mail.other.example")).not.toBeInstanceOf(Promise); // no change was heard of meanwhile
  });
  await fail(database, id);
  await eventually(async () => expect(await onBoth("mail.other.example")).toEqual([undefined, undefined]));
  expect((await hosts.find("mail.other.example"))?.masterId).toBe(other.master.id);
});
