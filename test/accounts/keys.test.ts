/** API keys and SMTP credentials as things that are made, listed, rotated and revoked. */
import { expect, test } from "vitest";
import {
  createCredential,
  findCredential,
  listCredentials,
  revokeCredential,
  rotateCredential,
} from "../../src/accounts/credentials.ts";
import { createKey, findKey, type KeyInput, listKeys, revokeKey } from "../../src/accounts/keys.ts";
import { transitionSubaccount } from "../../src/accounts/transition.ts";
import { listAudit } from "../../src/audit/list.ts";
import { testDatabase } from "../support/database.ts";
import { operator, tenants } from "../support/tenants.ts";

const { db, clock } = await testDatabase();
const { keyring, ...make } = tenants({ db, clock });
const acme = await make.master();
const shop = await make.subaccount(acme);

test("credentials are listed without secrets, page by page, without those that are revoked", async () => {
  const { subaccount, credentialId } = await make.subaccount(acme);
  const made = [];
  for (const name of ["web", "shop", null]) {
    made.push((await createCredential(db, acme.principal, subaccount.id, { name }, keyring, clock)).credential);
  }
  await revokeCredential(db, acme.principal, credentialId, clock);
  const first = await listCredentials(db, acme.principal, subaccount.id, { limit: 2 }, clock);
  const rest = await listCredentials(db, acme.principal, subaccount.id, { limit: 2, after: first[1]!.id }, clock);
  expect([...first.slice(0, 2), ...rest]).toEqual(made.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
  expect(JSON.stringify(first)).not.toMatch(/hash|secret|password/);
});

test("revoking twice changes nothing, and a revoked credential is not rotated", async () => {
  const { credential } = await createCredential(db, acme.principal, shop.subaccount.id, {}, keyring, clock);
  const revoked = await revokeCredential(db, acme.principal, credential.id, clock);
  expect(await revokeCredential(db, acme.principal, credential.id, clock)).toEqual(revoked);
  const rotated = rotateCredential(db, acme.principal, credential.id, 0, keyring, clock);
  await expect(rotated).rejects.toMatchObject({ kind: "conflict" });
  expect((await findCredential(db, acme.principal, credential.id)).revokedAt).not.toBeNull();
});

test.each([-1, 1.5, Number.NaN, 7 * 86_400 + 1])("an overlap of %d seconds is refused", async (overlap) => {
  const rotated = rotateCredential(db, acme.principal, shop.credentialId, overlap, keyring, clock);
  await expect(rotated).rejects.toMatchObject({ kind: "invalid", details: [{ pointer: "/overlap_seconds" }] });
});

test("a closed subaccount gets neither credentials nor keys", async () => {
  const { subaccount } = await make.subaccount(acme);
  await transitionSubaccount(db, acme.principal, subaccount.id, "close", {}, clock);
  const credential = createCredential(db, acme.principal, subaccount.id, {}, keyring, clock);
  await expect(credential).rejects.toMatchObject({ kind: "conflict" });
  const key = createKey(db, acme.principal, { name: "k", scopes: ["full"], subaccount: subaccount.id }, keyring, clock);
  await expect(key).rejects.toMatchObject({ kind: "conflict" });
});

test("a subaccount makes credentials and keys for itself only", async () => {
  const own = await createKey(db, shop.principal, { name: "k", scopes: ["send"] }, keyring, clock);
  expect(own.apiKey).toMatchObject({ subaccountId: shop.subaccount.id, scopes: ["send"], hint: own.key.slice(-4) });
  const other = await make.subaccount(acme);
  const foreign = createKey(
    db,
    shop.principal,
    { name: "k", scopes: ["send"], subaccount: other.subaccount.id },
    keyring,
    clock,
  );
  await expect(foreign).rejects.toMatchObject({ kind: "not-found" });
  expect(await listKeys(db, shop.principal, { limit: 10 })).toEqual([own.apiKey]);
});

test.each([
  [{ name: "", scopes: ["full"] }, "/name"],
  [{ name: "k", scopes: [] }, "/scopes"],
  [{ name: "k", scopes: ["all"] }, "/scopes"],
  [{ name: "k", scopes: ["read", "read"] }, "/scopes"],
  [{ name: "k", scopes: ["billing"], subaccount: shop.subaccount.id }, "/scopes"],
] as [KeyInput, string][])("a key with %j is refused", async (input, pointer) => {
  const made = createKey(db, acme.principal, input, keyring, clock);
  await expect(made).rejects.toMatchObject({ kind: "invalid", details: [{ pointer }] });
});

test("a key that may only read makes no keys and revokes none", async () => {
  const reader = { ...acme.principal, scopes: ["read"] } as const;
  const made = createKey(db, reader, { name: "k", scopes: ["full"] }, keyring, clock);
  await expect(made).rejects.toMatchObject({ kind: "forbidden" });
  await expect(revokeKey(db, reader, acme.principal.keyId!, clock)).rejects.toMatchObject({ kind: "forbidden" });
});

test("keys are listed by whose they are, without those that are revoked", async () => {
  const globex = await make.master();
  const { subaccount } = await make.subaccount(globex);
  const a = await createKey(db, globex.principal, { name: "a", scopes: ["full"] }, keyring, clock);
  const b = await createKey(
    db,
    globex.principal,
    { name: "b", scopes: ["full"], subaccount: subaccount.id },
    keyring,
    clock,
  );
  const ids = async (filter = {}) =>
    (await listKeys(db, globex.principal, { limit: 10, ...filter })).map(({ id }) => id);
  expect(new Set(await ids())).toEqual(new Set([globex.principal.keyId, a.apiKey.id, b.apiKey.id]));
  expect(await ids({ subaccountId: subaccount.id })).toEqual([b.apiKey.id]);
  await revokeKey(db, globex.principal, b.apiKey.id, clock);
  expect(await ids({ subaccountId: subaccount.id })).toEqual([]);
  expect((await findKey(db, globex.principal, b.apiKey.id)).revokedAt).not.toBeNull();
});

test("the operator makes a key for a master", async () => {
  const input = { name: "lost", scopes: ["full"], masterId: acme.master.id } as const;
  const { apiKey } = await createKey(db, operator, input, keyring, clock);
  expect(apiKey).toMatchObject({ masterId: acme.master.id, subaccountId: null });
  const nobodys = createKey(db, operator, { name: "k", scopes: ["full"] }, keyring, clock);
  await expect(nobodys).rejects.toMatchObject({ kind: "not-found" });
});

test("each change is in the audit log, with no secret in it", async () => {
  const { subaccount } = await make.subaccount(acme);
  const made = await createCredential(db, acme.principal, subaccount.id, { name: "web" }, keyring, clock);
  const rotated = await rotateCredential(db, acme.principal, made.credential.id, 60, keyring, clock);
  await revokeCredential(db, acme.principal, made.credential.id, clock);
  const entries = await listAudit(db, acme.principal, { subaccountId: subaccount.id, limit: 10 });
  const actions = entries.map(({ action }) => action);
  for (const action of ["credential.created", "credential.rotated", "credential.revoked"])
    expect(actions).toContain(action);
  for (const secret of [made.password, rotated.password]) expect(JSON.stringify(entries)).not.toContain(secret);
});
