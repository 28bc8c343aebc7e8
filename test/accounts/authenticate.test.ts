/** Logging in by SMTP and by key; two authenticators stand for two processes. */
import { sql } from "kysely";
import { afterAll, expect, test, vi } from "vitest";
import { createAuthenticator } from "../../src/accounts/authenticate.ts";
import { changeMaster } from "../../src/accounts/change-master.ts";
import { changeSubaccount } from "../../src/accounts/change-subaccount.ts";
import { listenForChanges } from "../../src/accounts/changes.ts";
import { createCredential, revokeCredential, rotateCredential } from "../../src/accounts/credentials.ts";
import { createKey, revokeKey } from "../../src/accounts/keys.ts";
import { transitionMaster, transitionSubaccount } from "../../src/accounts/transition.ts";
import { createClock } from "../../src/platform/clock.ts";
import { type Database, openDatabase } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { operator, tenants } from "../support/tenants.ts";

const database = await testDatabase();
const { db, clock, url } = database;
const make = tenants({ db, clock });
const { keyring } = make;
const acme = await make.master();
const OPERATOR_KEY = "pm_op_0123456789abcdef";

async function startProcess(at = clock) {
  const own: Database = openDatabase({ url, max: 4, clockOffsetMs: at.offsetMs });
  let statements = 0;
  own.pool.on("acquire", () => statements++);
  const changes = await listenForChanges({ url, log: silentLog });
  const options = { db: own.db, keyring, clock: at, changes, operatorKey: OPERATOR_KEY, log: silentLog };
  const authenticator = createAuthenticator(options);
  afterAll(async () => {
    await changes[Symbol.asyncDispose]();
    await own[Symbol.asyncDispose]();
  });
  const counted = async (run: () => Promise<unknown>) => {
    const before = statements;
    await run();
    return statements - before;
  };
  return { ...authenticator, changes, counted };
}
const [one, two] = [await startProcess(), await startProcess()];
/** The news has come round. */
const heard = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 5000, interval: 5 });
let address = 0;
const from = () => `192.0.2.${++address}`;

test("a user name and its password give the account that may send", async () => {
  const shop = await make.subaccount(acme);
  const answer = await one.smtp(shop.username.toUpperCase(), shop.password, from());
  expect(answer).toMatchObject({ kind: "sending", masterId: acme.master.id, subaccountId: shop.subaccount.id });
  expect(answer).toMatchObject({ credentialId: shop.credentialId, senderPolicy: "verified", own: false });
  expect(answer).toMatchObject({
    calendar: { anchorDay: 1, timeZone: "UTC" },
    principal: { kind: "subaccount", scopes: ["send"] },
  });
});

test.each([
  ["a wrong password", (name: string) => [name, "x".repeat(32)]],
  ["no password", (name: string) => [name, ""]],
  ["another's password", (name: string, other: string) => [name, other]],
  ["an unknown name", (_: string, other: string) => ["pm-nobody", other]],
  ["no name", (_: string, other: string) => ["", other]],
  ["a name with a NUL", (name: string) => [`${name}\0`, "x"]],
  ["an endless name", () => ["x".repeat(100_000), "x"]],
] as [string, (name: string, other: string) => [string, string]][])("%s is denied", async (_, given) => {
  const [shop, other] = [await make.subaccount(acme), await make.subaccount(acme)];
  const [username, password] = given(shop.username, other.password);
  expect(await one.smtp(username, password, from())).toEqual({ kind: "denied", locked: false });
});

test("once it has logged in, neither the next log-in nor any message asks the database", async () => {
  const shop = await make.subaccount(acme);
  const process = await startProcess();
  const answer = await process.smtp(shop.username, shop.password, "192.0.2.250");
  if (answer.kind !== "sending") throw new Error(answer.kind);
  await heard(async () => {
    expect(await process.counted(() => process.smtp(shop.username, shop.password, "192.0.2.250"))).toBe(0);
  });
  expect(await process.counted(async () => process.sending(answer.principal))).toBe(0);
});

test("an unknown name, a known one and one in memory cost the same when they are denied", async () => {
  const process = await startProcess();
  const [known, warm] = [await make.subaccount(acme), await make.subaccount(acme)];
  await process.smtp(warm.username, warm.password, from());
  await heard(async () => {
    expect(await process.counted(() => process.smtp(warm.username, warm.password, from()))).toBe(0);
  });
  const deny = (username: string) => process.counted(() => process.smtp(username, "wrong", from()));
  // The first read of a credential also notes its use.
  await sql`update credential set last_used_at = pm_now()`.execute(db);
  expect([await deny("pm-nobody"), await deny(known.username), await deny(warm.username)]).toEqual([2, 2, 2]);
});

test("a revoked credential opens nothing in any process, nor does a session that it opened go on", async () => {
  const shop = await make.subaccount(acme);
  const sessions = await Promise.all([one, two].map((process) => process.smtp(shop.username, shop.password, from())));
  await revokeCredential(db, acme.principal, shop.credentialId, clock);
  for (const [i, process] of [one, two].entries()) {
    const session = sessions[i];
    if (session?.kind !== "sending") throw new Error(session?.kind);
    await heard(async () => expect(await process.sending(session.principal)).toEqual({ kind: "revoked" }));
    expect(await process.smtp(shop.username, shop.password, from())).toMatchObject({ kind: "denied" });
  }
});

test("a rotated secret stays valid for its overlap, and not a moment longer", async () => {
  const shop = await make.subaccount(acme);
  const { password } = await rotateCredential(db, acme.principal, shop.credentialId, 3600, keyring, clock);
  expect(password).not.toBe(shop.password);
  for (const secret of [shop.password, password]) {
    expect(await one.smtp(shop.username, secret, from())).toMatchObject({ kind: "sending" });
  }
  const later = await startProcess(createClock(3600_000));
  expect(await later.smtp(shop.username, shop.password, from())).toMatchObject({ kind: "denied" });
  expect(await later.smtp(shop.username, password, from())).toMatchObject({ kind: "sending" });
});

test("a secret rotated without overlap is void in every process", async () => {
  const shop = await make.subaccount(acme);
  for (const process of [one, two]) await process.smtp(shop.username, shop.password, from());
  const { password } = await rotateCredential(db, acme.principal, shop.credentialId, 0, keyring, clock);
  for (const process of [one, two]) {
    await heard(async () => {
      expect(await process.smtp(shop.username, shop.password, from())).toMatchObject({ kind: "denied" });
    });
    expect(await process.smtp(shop.username, password, from())).toMatchObject({ kind: "sending" });
  }
});

test.each([
  ["closed", "close"],
  ["disabled", "disable"],
  ["suspended", "suspend"],
] as const)(
  "a %s account is told so at AUTH with the right password only, and in an open session",
  async (state, action) => {
    const shop = await make.subaccount(acme);
    const session = await one.smtp(shop.username, shop.password, from());
    if (session.kind !== "sending") throw new Error(session.kind);
    const { id } = shop.subaccount;
    await transitionSubaccount(db, operator, id, action, { publicMessage: "Please pay" }, clock);
    const publicMessage = action === "disable" ? "Please pay" : null;
    const inactive = { kind: "inactive", state, publicMessage };
    await heard(async () => expect(await one.sending(session.principal)).toEqual(inactive));
    expect(await one.smtp(shop.username, shop.password, from())).toEqual(inactive);
    expect(await one.smtp(shop.username, "wrong", from())).toMatchObject({ kind: "denied" });
  },
);

test("a suspended or closed master's subaccounts may not log in", async () => {
  const globex = await make.master();
  const shop = await make.subaccount(globex);
  const session = await one.smtp(shop.username, shop.password, from());
  if (session.kind !== "sending") throw new Error(session.kind);
  await transitionMaster(db, operator, globex.master.id, "suspend", {}, clock);
  await heard(async () => expect(await one.sending(session.principal)).toMatchObject({ state: "suspended" }));
  await transitionMaster(db, operator, globex.master.id, "resume", {}, clock);
  await heard(async () => expect(await one.sending(session.principal)).toMatchObject({ kind: "sending" }));
});

test("an end date is kept to the moment, also from memory", async () => {
  const shop = await make.subaccount(acme);
  const end = new Date(clock.now().getTime() + 3_600_000);
  await changeSubaccount(db, acme.principal, shop.subaccount.id, { expiresAt: end }, {}, clock);
  let offsetMs = 0;
  const moving = { offsetMs: 0, now: () => new Date(clock.now().getTime() + offsetMs) };
  const process = await startProcess(moving);
  const session = await process.smtp(shop.username, shop.password, from());
  if (session.kind !== "sending") throw new Error(session.kind);
  offsetMs = 3_600_000;
  expect(await process.sending(session.principal)).toMatchObject({ kind: "inactive", state: "expired" });
});

test("a new sender policy or calendar reaches open sessions", async () => {
  const globex = await make.master();
  const shop = await make.subaccount(globex);
  const session = await one.smtp(shop.username, shop.password, from());
  if (session.kind !== "sending") throw new Error(session.kind);
  await changeMaster(db, operator, globex.master.id, { senderPolicy: "any", anchorDay: 9 }, {}, clock);
  await heard(async () => {
    expect(await one.sending(session.principal)).toMatchObject({
      senderPolicy: "any",
      calendar: { next: { anchorDay: 9 } },
    });
  });
});

test("while changes can't be heard nothing is answered from memory; afterwards it is again", async () => {
  const shop = await make.subaccount(acme);
  const process = await startProcess();
  await process.smtp(shop.username, shop.password, from());
  const gap = Promise.withResolvers<void>();
  process.changes.subscribe((change) => change.kind === "everything" && gap.resolve());
  await sql`select pg_terminate_backend(pid) from pg_stat_activity
     where application_name = 'postmeter changes' and datname = current_database()`.execute(db);
  await gap.promise;
  await revokeCredential(db, acme.principal, shop.credentialId, clock);
  expect(await process.smtp(shop.username, shop.password, from())).toMatchObject({ kind: "denied" });
  await heard(() => expect(process.changes.heard()).toBe(true));
  const next = await make.subaccount(acme);
  await heard(async () => {
    expect(await process.counted(() => process.smtp(next.username, next.password, from()))).toBe(0);
  });
  await heard(() => expect(one.changes.heard() && two.changes.heard()).toBe(true));
});

test("the operator's key, a master's and a subaccount's give their principals", async () => {
  const shop = await make.subaccount(acme);
  const input = { name: "k", scopes: ["read"], subaccount: shop.subaccount.id } as const;
  const { key, apiKey } = await createKey(db, acme.principal, input, keyring, clock);
  expect(await one.key(OPERATOR_KEY, "192.0.2.1")).toEqual({ kind: "operator", via: "key" });
  expect(await one.key(acme.key, "192.0.2.1")).toEqual(acme.principal);
  const ids = { masterId: acme.master.id, subaccountId: shop.subaccount.id };
  expect(await one.key(key, "192.0.2.1")).toEqual({ kind: "subaccount", ...ids, keyId: apiKey.id, scopes: ["read"] });
});

test.each([
  "",
  "pm_live_",
  `pm_live_${"a".repeat(32)}`,
  `${OPERATOR_KEY}x`,
  OPERATOR_KEY.slice(0, -1),
  "\0",
  "x".repeat(10_000),
])("the key %j opens nothing", async (key) => expect(await one.key(key, "192.0.2.1")).toBeUndefined());

test("where no operator key is set, an empty key is nobody's", async () => {
  const options = { db, keyring, clock, changes: one.changes, operatorKey: "", log: silentLog };
  expect(await createAuthenticator(options).key("", "192.0.2.1")).toBeUndefined();
});

test("a revoked key opens nothing in any process", async () => {
  const { key, apiKey } = await createKey(db, acme.principal, { name: "k", scopes: ["full"] }, keyring, clock);
  for (const process of [one, two]) expect(await process.key(key, "192.0.2.1")).toMatchObject({ kind: "master" });
  await revokeKey(db, acme.principal, apiKey.id, clock);
  for (const process of [one, two])
    await heard(async () => expect(await process.key(key, "192.0.2.1")).toBeUndefined());
});

test("a suspended account's key reads and changes nothing, a closed one's opens nothing, and both come back", async () => {
  const globex = await make.master();
  const shop = await make.subaccount(globex);
  const { key } = await createKey(db, shop.principal, { name: "k", scopes: ["full"] }, keyring, clock);
  const go = (action: "suspend" | "resume" | "close" | "reopen") =>
    transitionSubaccount(db, operator, shop.subaccount.id, action, {}, clock);
  await go("suspend");
  await heard(async () => expect(await one.key(key, "192.0.2.1")).toMatchObject({ frozen: "suspended" }));
  await go("resume");
  await heard(async () => expect(await one.key(key, "192.0.2.1")).not.toHaveProperty("frozen"));
  await go("close");
  await heard(async () => expect(await one.key(key, "192.0.2.1")).toBeUndefined());
  await go("reopen");
  await heard(async () => expect(await one.key(key, "192.0.2.1")).toMatchObject({ kind: "subaccount" }));
  await transitionMaster(db, operator, globex.master.id, "close", {}, clock);
  await heard(async () =>
    expect([await one.key(key, "192.0.2.1"), await one.key(globex.key, "192.0.2.1")]).toEqual([undefined, undefined]),
  );
});

test("the last use of a credential and of a key is noted, once an hour", async () => {
  const shop = await make.subaccount(acme);
  const { credential, password } = await createCredential(db, acme.principal, shop.subaccount.id, {}, keyring, clock);
  const used = async () => {
    const row = await db
      .selectFrom("credential")
      .select("last_used_at")
      .where("id", "=", credential.id)
      .executeTakeFirstOrThrow();
    return row.last_used_at;
  };
  expect(await used()).toBeNull();
  await one.smtp(credential.username, password, from());
  await heard(async () => expect(await used()).not.toBeNull());
  const first = await used();
  await two.smtp(credential.username, password, from());
  expect(await used()).toEqual(first);
});
