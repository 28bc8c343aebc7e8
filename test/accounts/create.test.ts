/** Creating masters and subaccounts. */
import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { createMaster } from "../../src/accounts/create-master.ts";
import { createSubaccount } from "../../src/accounts/create-subaccount.ts";
import type { Principal } from "../../src/accounts/principal.ts";
import { createKeyring } from "../../src/platform/secrets.ts";
import { testDatabase } from "../support/database.ts";

const { db, clock } = await testDatabase();
const keyring = createKeyring(randomBytes(32));
const operator: Principal = { kind: "operator", via: "key" };

test("a master is created with its own subaccount, which has no limit, and one key", async () => {
  const { master, apiKey } = await createMaster(
    db,
    operator,
    { name: "Acme Hosting", allowance: 1000, notificationEmails: ["ops@acme.example"] },
    keyring,
    clock,
  );
  expect(master).toMatchObject({
    name: "Acme Hosting",
    state: "active",
    allowance: 1000,
    overage: "block",
    version: 1,
  });
  expect(apiKey.key).toMatch(/^pm_live_[a-z2-7]{32}$/);
  const principal: Principal = { kind: "master", masterId: master.id, keyId: apiKey.apiKey.id, scopes: ["full"] };
  const { subaccount, credential } = await createSubaccount(
    db,
    principal,
    { name: "Corner Shop", monthlyLimit: 100 },
    keyring,
    clock,
  );
  expect(subaccount).toMatchObject({
    name: "Corner Shop",
    slug: "corner-shop",
    state: "active",
    monthlyLimit: 100,
    own: false,
  });
  expect(credential?.password).toMatch(/^[a-z2-7]{32}$/);
});
