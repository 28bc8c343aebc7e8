/** A wrong password of a known user name and an unknown name cost the same: as many hashes, as many reads. */
import { afterAll, expect, test } from "vitest";
import { createAuthenticator } from "../../src/accounts/authenticate.ts";
import { listenForChanges } from "../../src/accounts/changes.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, clock, url, pool } = database;
const { keyring, ...make } = tenants({ db, clock });
const known = await make.subaccount(await make.master());
const changes = await listenForChanges({ url, log: silentLog });
afterAll(() => changes[Symbol.asyncDispose]());

let [hashes, statements] = [0, 0];
const counting = {
  ...keyring,
  hash(text: string) {
    hashes++;
    return keyring.hash(text);
  },
};
pool.on("acquire", () => statements++);
const authenticator = createAuthenticator({ db, keyring: counting, clock, changes, operatorKey: "", log: silentLog });

async function workOf(username: string, password: string, client: string) {
  [hashes, statements] = [0, 0];
  const { kind } = await authenticator.smtp(username, password, client);
  return { kind, hashes, statements };
}

test("known and unknown user names do the same work; a right password does other work, so the count can tell", async () => {
  // Until the list of locks is read each log-in asks for its own.
  await expect.poll(async () => (await workOf("nobody", "wrong", "192.0.2.9")).statements).toBe(2);
  const wrong = await workOf(known.username, "wrong", "192.0.2.2");
  const right = await workOf(known.username, known.password, "192.0.2.1");
  expect(wrong).toMatchObject({ kind: "denied" });
  expect(wrong.statements).toBeGreaterThan(1);
  for (const unknown of ["nobody", "no such name", "x".repeat(500), ""]) {
    expect(await workOf(unknown, "wrong", "192.0.2.3")).toEqual(wrong);
  }
  expect(right).not.toEqual(wrong);
});
