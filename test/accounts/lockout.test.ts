/** Five failures, then five minutes: per user name and client network, for all processes. */
import { sql } from "kysely";
import { afterAll, expect, test, vi } from "vitest";
import { createAuthenticator } from "../../src/accounts/authenticate.ts";
import { listenForChanges } from "../../src/accounts/changes.ts";
import { networkOf } from "../../src/accounts/lockout.ts";
import { createClock } from "../../src/platform/clock.ts";
import { openDatabase } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { tenants } from "../support/tenants.ts";

const { db, clock, url } = await testDatabase();
const make = tenants({ db, clock });
const acme = await make.master();

async function startProcess(offsetMs = 0) {
  const own = openDatabase({ url, max: 4, clockOffsetMs: offsetMs });
  let statements = 0;
  own.pool.on("acquire", () => statements++);
  const changes = await listenForChanges({ url, log: silentLog });
  const options = {
    db: own.db,
    keyring: make.keyring,
    clock: createClock(offsetMs),
    changes,
    operatorKey: "",
    log: silentLog,
  };
  afterAll(async () => {
    await changes[Symbol.asyncDispose]();
    await own[Symbol.asyncDispose]();
  });
  return { ...createAuthenticator(options), statements: () => statements, own };
}
const [one, two] = [await startProcess(), await startProcess()];
const FAIL = ["denied", false];

async function fail(process: typeof one, username: string, address: string) {
  const answer = await process.smtp(username, "wrong", address);
  return answer.kind === "denied" ? [answer.kind, answer.locked] : [answer.kind];
}
async function failuresOf(username: string, address: string): Promise<number> {
  const key = make.keyring.hash(`lockout ${address} ${username.toLowerCase()}`).subarray(0, 16);
  const { rows } = await sql<{ failures: number }>`select failures from lockout where key = ${key}`.execute(db);
  return rows[0]?.failures ?? 0;
}
const waiting = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 5000, interval: 5 });

test("after the fifth failure nobody logs in under that name from there, with the right password neither", async () => {
  const shop = await make.subaccount(acme);
  for (let i = 0; i < 4; i++) expect(await fail(one, shop.username, "192.0.2.1")).toEqual(FAIL);
  expect(await fail(one, shop.username, "192.0.2.1")).toEqual(["denied", true]);
  expect(await one.smtp(shop.username, shop.password, "192.0.2.1")).toEqual({ kind: "locked" });
  expect(await one.smtp(shop.username.toUpperCase(), shop.password, "192.0.2.1")).toEqual({ kind: "locked" });
  expect(await one.smtp(shop.username, shop.password, "192.0.2.2")).toMatchObject({ kind: "sending" });
});

test("another name from the same network is not concerned", async () => {
  const [shop, other] = [await make.subaccount(acme), await make.subaccount(acme)];
  for (let i = 0; i < 5; i++) await fail(one, shop.username, "192.0.2.3");
  expect(await one.smtp(other.username, other.password, "192.0.2.3")).toMatchObject({ kind: "sending" });
});

test("failures are counted over all processes, and the lock is known to all", async () => {
  const shop = await make.subaccount(acme);
  for (const process of [one, two, one, two]) expect(await fail(process, shop.username, "192.0.2.4")).toEqual(FAIL);
  expect(await fail(one, shop.username, "192.0.2.4")).toEqual(["denied", true]);
  await waiting(async () => {
    expect(await two.smtp(shop.username, shop.password, "192.0.2.4")).toEqual({ kind: "locked" });
  });
  const late = await startProcess();
  expect(await late.smtp(shop.username, shop.password, "192.0.2.4")).toEqual({ kind: "locked" });
});

test("fifty guesses at the same time count fifty failures, not fewer", async () => {
  const answers = await Promise.all(Array.from({ length: 50 }, () => fail(one, "pm-guessed", "192.0.2.5")));
  expect(answers.filter(([kind, locked]) => kind === "denied" && !locked)).toHaveLength(4);
});

test("an unknown name is locked like a known one", async () => {
  for (let i = 0; i < 5; i++) await fail(one, "pm-nobody", "192.0.2.6");
  expect(await fail(one, "pm-nobody", "192.0.2.6")).toEqual(["locked"]);
});

test("a lock ends after five minutes, and the counting starts anew", async () => {
  const shop = await make.subaccount(acme);
  for (let i = 0; i < 5; i++) await fail(one, shop.username, "192.0.2.7");
  const almost = await startProcess(4.9 * 60_000);
  expect(await almost.smtp(shop.username, shop.password, "192.0.2.7")).toEqual({ kind: "locked" });
  const later = await startProcess(5.1 * 60_000);
  expect(await fail(later, shop.username, "192.0.2.7")).toEqual(FAIL);
  expect(await later.smtp(shop.username, shop.password, "192.0.2.7")).toMatchObject({ kind: "sending" });
});

test("more failures while it is locked do not make the lock longer", async () => {
  for (let i = 0; i < 5; i++) await fail(one, "pm-longer", "192.0.2.8");
  const until = async () =>
    (await sql<{ until: Date }>`select max(locked_until) as until from lockout`.execute(db)).rows[0]?.until;
  const first = await until();
  await sql`select auth_failed(key) from lockout where locked_until is not null`.execute(db);
  expect(await until()).toEqual(first);
});

test("the right password forgets the failures before it", async () => {
  const shop = await make.subaccount(acme);
  for (let i = 0; i < 4; i++) await fail(one, shop.username, "192.0.2.9");
  await one.smtp(shop.username, shop.password, "192.0.2.9");
  for (let i = 0; i < 4; i++) expect(await fail(one, shop.username, "192.0.2.9")).toEqual(FAIL);
});

test("the right password forgets failures that other processes have counted, before this one ran and since", async () => {
  const shop = await make.subaccount(acme);
  for (let i = 0; i < 4; i++) await fail(one, shop.username, "192.0.2.13");
  const late = await startProcess();
  for (let round = 0; round < 2; round++) {
    for (const process of [late, two]) {
      await waiting(async () => {
        expect(await process.smtp(shop.username, shop.password, "192.0.2.13")).toMatchObject({ kind: "sending" });
        expect(await failuresOf(shop.username, "192.0.2.13")).toBe(0);
      });
      for (let i = 0; i < 4; i++) expect(await fail(one, shop.username, "192.0.2.13")).toEqual(FAIL);
    }
  }
});

test("a success without failures before it costs no statement", async () => {
  const shop = await make.subaccount(acme);
  const logIn = () => two.smtp(shop.username, shop.password, "192.0.2.14");
  await logIn();
  await waiting(async () => {
    const before = two.statements();
    expect(await logIn()).toMatchObject({ kind: "sending" });
    expect(two.statements()).toBe(before);
  });
});

test("an attack on a locked name costs no statement", async () => {
  for (let i = 0; i < 5; i++) await fail(one, "pm-attacked", "192.0.2.10");
  const before = one.statements();
  for (let i = 0; i < 100; i++) expect(await fail(one, "pm-attacked", "192.0.2.10")).toEqual(["locked"]);
  expect(one.statements()).toBe(before);
});

test("old failures are taken away by new ones", async () => {
  await sql`insert into lockout select decode(md5(i::text), 'hex'), 1, null, pm_now() - interval '1 s' from generate_series(1, 30) i`.execute(
    db,
  );
  const old = async () =>
    (await sql<{ n: number }>`select count(*)::int as n from lockout where expires_at < pm_now()`.execute(db)).rows[0]
      ?.n;
  for (let i = 0; i < 3; i++) await fail(one, `pm-new-${i}`, "192.0.2.11");
  expect(await old()).toBe(0);
});

test("when the database can't be asked nobody is let in, and nobody is denied", async () => {
  const shop = await make.subaccount(acme);
  const process = await startProcess();
  const broken = openDatabase({ url: url.replace(/\/[^/?]*(\?|$)/, "/no_such_database$1"), max: 1 });
  const changes = {
    heard: () => false,
    count: () => 0,
    subscribe: () => {},
    tell: () => {},
    [Symbol.asyncDispose]: async () => {},
  };
  const options = { db: broken.db, keyring: make.keyring, clock, changes, operatorKey: "", log: silentLog };
  await expect(createAuthenticator(options).smtp(shop.username, shop.password, "192.0.2.12")).rejects.toThrow();
  expect(await process.smtp(shop.username, shop.password, "192.0.2.12")).toMatchObject({ kind: "sending" });
  await broken[Symbol.asyncDispose]();
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["0:0:0:0:0:ffff:192.0.2.7", "192.0.2.7"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:DB8:1:2::1", "2001:db8:1:2::/64"],
  ["2001:0db8:0001:0002::1", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["64:ff9b::192.0.2.7", "64:ff9b:0:0::/64"],
  ["not an address", "not an address"],
])("the network of %s is %s", (address, network) => expect(networkOf(address)).toBe(network));
