/** A wrong password of a known user name and an unknown name cost the same: as many hashes, as many reads. */
import { dirname, join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { type Authenticator, createAuthenticator } from "../../src/accounts/authenticate.ts";
import { listenForChanges } from "../../src/accounts/changes.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { mutateProgram } from "../support/mutant.ts";
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
const options = { db, keyring: counting, clock, changes, operatorKey: "", log: silentLog };

async function workOf({ smtp }: Authenticator, username: string, password: string, client: string) {
  [hashes, statements] = [0, 0];
  const { kind } = await smtp(username, password, client);
  return { kind, hashes, statements };
}

/** Until the list of locks is read each log-in asks for its own, and takes a statement more than that. */
async function settled(authenticator: Authenticator, expected: number): Promise<void> {
  let n = 0;
  const ask = () => workOf(authenticator, known.username, "wrong", `198.51.100.${n++}`);
  await expect.poll(async () => (await ask()).statements).toBe(expected);
}

test("known and unknown user names do the same work; a right password does other work, so the count can tell", async () => {
  const authenticator = createAuthenticator(options);
  await settled(authenticator, 2);
  const wrong = await workOf(authenticator, known.username, "wrong", "192.0.2.2");
  const right = await workOf(authenticator, known.username, known.password, "192.0.2.1");
  expect(wrong).toMatchObject({ kind: "denied" });
  expect(wrong.statements).toBeGreaterThan(1);
  for (const unknown of ["nobody", "no such name", "x".repeat(500), ""]) {
    expect(await workOf(authenticator, unknown, "wrong", "192.0.2.3")).toEqual(wrong);
  }
  expect(right).not.toEqual(wrong);
});

test.each([
  [
    "counts no failure of an unknown name",
    2,
    {
      from: "const right = opens(read, hash, clock);",
      to: 'if (read === nobody) return { kind: "denied", locked: false };\n    const right = opens(read, hash, clock);',
    },
  ],
  [
    "hashes nothing for an unknown name",
    3,
    {
      from: "const hash = keyring.hash(password);",
      to: "const hash = (await credentials.load(name)) ? keyring.hash(password) : Buffer.alloc(32);",
    },
  ],
])("control: an authenticator that %s is told apart", async (_, expected, edit) => {
  const file = join(dirname(mutateProgram("src/accounts/authenticate.ts", edit)), "accounts", "authenticate.ts");
  const mutant = (await import(file)) as { createAuthenticator: typeof createAuthenticator };
  const authenticator = mutant.createAuthenticator(options);
  await settled(authenticator, expected);
  const wrong = await workOf(authenticator, known.username, "wrong", "192.0.2.4");
  expect(await workOf(authenticator, "nobody", "wrong", "192.0.2.5")).not.toEqual(wrong);
});
