/** Whom a refused client is told to write to: of the nearest brand, from memory, and no longer than it is so. */
import { afterAll, expect, test } from "vitest";
import { createAuthenticator } from "../../src/accounts/authenticate.ts";
import { listenForChanges } from "../../src/accounts/changes.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { changeBrand } from "../../src/branding/change.ts";
import { testDatabase } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { silentLog } from "../support/log.ts";
import { tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, clock, url } = database;
const people = tenants(database);
const changes = await listenForChanges({ url, log: silentLog });
afterAll(() => changes[Symbol.asyncDispose]());
const shared = { db, keyring: people.keyring, clock, changes, log: silentLog };
const authenticator = createAuthenticator({ ...shared, operatorKey: "" });
const acme = await people.master();
const shop = await people.subaccount(acme);

const told = async () => {
  const answer = await authenticator.smtp(shop.username, shop.password, "10.0.0.1");
  return "supportAddress" in answer ? answer.supportAddress : null;
};
const set = (supportAddress: string | null, ref?: typeof shop.subaccount.id) =>
  changeBrand(db, acme.principal, ref, { supportAddress }, {}, clock);

test("the support address of a sending account is its own, else its master's, and follows each change at once", async () => {
  expect(await told()).toBeNull();
  await set("help@acme.example");
  await eventually(async () => expect(await told()).toBe("help@acme.example"));
  await set("help@shop.example", shop.subaccount.id);
  await eventually(async () => expect(await told()).toBe("help@shop.example"));
  await transitionSubaccount(db, acme.principal, shop.subaccount.id, "disable", {}, clock);
  await eventually(async () =>
    expect(await authenticator.smtp(shop.username, shop.password, "10.0.0.1")).toEqual({
      kind: "inactive",
      state: "disabled",
      publicMessage: null,
      supportAddress: "help@shop.example",
    }),
  );
  await set(null, shop.subaccount.id);
  await eventually(async () => expect(await told()).toBe("help@acme.example"));
  await set(null);
  await eventually(async () => expect(await told()).toBeNull());
});
