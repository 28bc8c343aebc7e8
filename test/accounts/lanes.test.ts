/** A crowd from one client network waits behind itself, and others log in. */
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { createAuthenticator } from "../../src/accounts/authenticate.ts";
import { listenForChanges } from "../../src/accounts/changes.ts";
import { createLanes } from "../../src/accounts/lanes.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { tenants } from "../support/tenants.ts";

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("lanes", () => {
  test("run so many of one key at a time, in the order of asking, and others beside them", async () => {
    const lanes = createLanes(2);
    const begun: string[] = [];
    const ends: (() => void)[] = [];
    const work = (name: string) => () => {
      begun.push(name);
      return new Promise<void>((resolve) => ends.push(resolve));
    };
    const all = ["a1", "a2", "a3", "a4", "b1"].map((name) => lanes.run(name.slice(0, 1), work(name)));
    await turn();
    expect(begun).toEqual(["a1", "a2", "b1"]);
    ends[1]!();
    await turn();
    expect(begun).toEqual(["a1", "a2", "b1", "a3"]);
    for (const end of ends) end();
    await turn();
    expect(begun.at(-1)).toBe("a4");
    for (const end of ends) end();
    await Promise.all(all);
  });

  test("go on behind work that fails", async () => {
    const lanes = createLanes(1);
    const failing = lanes.run("a", () => Promise.reject(new Error("no")));
    const next = lanes.run("a", async () => "done");
    await expect(failing).rejects.toThrow("no");
    expect(await next).toBe("done");
  });
});

/** A right login beside forty guesses that hang in the database, whose pool has four connections. */
async function besideGuesses(from: (n: number) => string): Promise<string> {
  const database = await testDatabase({ max: 4, lockTimeoutMs: 60_000 });
  const { db, clock, url } = database;
  const make = tenants({ db, clock });
  const shop = await make.subaccount(await make.master());
  const changes = await listenForChanges({ url, log: silentLog });
  const { smtp } = createAuthenticator({ db, keyring: make.keyring, clock, changes, operatorKey: "", log: silentLog });
  const blocker = new pg.Client({ connectionString: url });
  await blocker.connect();
  await blocker.query("begin; lock table lockout in share mode"); // failures can't be counted
  const guesses = Array.from({ length: 40 }, (_, n) => smtp(`nobody-${n}`, "wrong", from(n)));
  const hanging = async () => {
    const waiting = `select count(*)::int as n from pg_locks
      where not granted and database = (select oid from pg_database where datname = current_database())`;
    return (await blocker.query(waiting)).rows[0].n >= 2;
  };
  await expect.poll(hanging, { timeout: 10_000 }).toBe(true);
  const login = smtp(shop.username, shop.password, "198.51.100.1").then(({ kind }) => kind);
  const answer = await Promise.race([login, sleep(3_000).then(() => "waits")]);
  await blocker.end();
  await Promise.all([...guesses, login]);
  await changes[Symbol.asyncDispose]();
  return answer;
}

test("a crowd that guesses from one address does not take all connections: another logs in", async () => {
  expect(await besideGuesses(() => "192.0.2.66")).toBe("sending");
});

test("control: a crowd from as many addresses does, since each has a lane", async () => {
  expect(await besideGuesses((n) => `192.0.2.${n}`)).toBe("waits");
});
