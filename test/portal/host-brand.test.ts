/** Pages before log-in are in the brand of the host that was asked for, and nothing else follows from that header. */
import { afterAll, expect, test } from "vitest";
import { listenForChanges } from "../../src/accounts/changes.ts";
import { createBrandHosts } from "../../src/branding/hosts.ts";
import { parseId } from "../../src/platform/ids.ts";
import { createPortal } from "../../src/portal/app.ts";
import { newMaster, openDoor } from "../api/client.ts";
import { prove } from "../support/brands.ts";
import { silentLog } from "../support/log.ts";

const door = await openDoor({
  portalOf: (deps) =>
    createPortal({ ...deps, lockout: deps.authenticator.lockout, hosts: { find: (name) => hosts.find(name) } }),
});
const { database } = door;
const changes = await listenForChanges({ url: database.url, log: silentLog });
afterAll(() => changes[Symbol.asyncDispose]());
const hosts = createBrandHosts({ db: database.db, changes, ours: ["relay.example"] });

const acme = await newMaster(door);
await prove(database, "acme.example", parseId("mas", acme.masterId)!);
const brand = { product_name: "Acme Mail", host: "mail.acme.example", colour: "#0a7d4b" };
await door.call("PATCH", "/v1/branding", { key: acme.key, body: brand });
const other = await newMaster(door);
const unproven = { product_name: "Evil Mail", host: "login.evil.example" };
await door.call("PATCH", "/v1/branding", { key: other.key, body: unproven });

const page = async (path: string, host: string, more: Record<string, string> = {}) => {
  const headers = { Host: host, Accept: "text/html", ...more };
  return (await door.app.app.request(`https://relay.example${path}`, { headers })).text();
};

const paths = ["/login", "/reset", "/reset/unknown", "/login-as/unknown", "/invite/unknown"];

test.each(paths)("%s is in the brand of a proven host", async (path) => {
  for (const host of ["mail.acme.example", "MAIL.acme.example:443"])
    expect(await page(path, host)).toContain("Acme Mail");
});

test.each(paths)("%s is ours for any other host, and for one that only a header of a proxy names", async (path) => {
  for (const host of ["relay.example", "login.evil.example", "evil.example", "mail.acme.example.evil.example"]) {
    const text = await page(path, host, {
      "X-Forwarded-Host": "mail.acme.example",
      Forwarded: "host=mail.acme.example",
    });
    expect(text, host).toContain("Postmeter");
    expect(text, host).not.toMatch(/Acme Mail|evil/i);
  }
});
