import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { messageShape } from "../../src/api/message-shape.ts";
import { periodAt } from "../../src/metering/period.ts";
import { formatId, type MessageId } from "../../src/platform/ids.ts";
import { seedMaster } from "../support/accounts.ts";
import { acceptUnits } from "../support/ledger.ts";
import { utcMonths } from "../support/submission.ts";
import { houseWithAccounts, runWith } from "./house.ts";

async function sent() {
  const opened = await houseWithAccounts();
  const { database, masterId, subaccountId } = opened;
  const accepted = await acceptUnits(database, { masterId, subaccountId }, 3);
  return {
    ...opened,
    id: (accepted as { id: MessageId }).id,
    msg: formatId("msg", (accepted as { id: MessageId }).id),
  };
}

test("the queue is listed, held, let go, and a message shown, retried and cancelled", async () => {
  const { json, run, msg, sub } = await sent();
  expect(await json("queue", "list")).toMatchObject({
    depth: 1,
    has_more: false,
    data: [{ id: msg, subaccount_id: sub, units: 3 }],
  });
  expect(await json("queue", "hold", sub)).toEqual({ subaccount_id: sub, held: true });
  expect(await json("queue", "show", msg)).toMatchObject({
    state: "queued",
    recipients: [{ state: "held" }, { state: "held" }, { state: "held" }],
  });
  await json("queue", "release", sub);
  expect(await json("queue", "retry", msg)).toMatchObject({
    state: "queued",
    recipients: [{ state: "queued" }, {}, {}],
  });
  expect(await json("queue", "cancel", msg)).toMatchObject({ state: "cancelled" });
  expect((await run("queue", "cancel", msg)).err).toBe("postmeter: Nothing of this message is queued any more.\n");
  expect((await run("queue", "list")).out).toBe("Nothing is waiting.\n");
});

test("a message is shown to programs with the members of the API: its Message-ID header is not taken for an id", async () => {
  const { json, msg, database } = await sent();
  await database.pool.query("update message set header_message_id = '<20261126.1@customer.example>'");
  const shown = await json("queue", "show", msg);
  expect(shown).toMatchObject({ id: msg, header_message_id: "<20261126.1@customer.example>" });
  expect(shown).not.toHaveProperty("message_id");
  expect((await json("queue", "list")).data).toEqual([shown]);
  const { master_id: _, ...members } = shown; // the API names no master to itself
  expect(() => messageShape.parse(members)).not.toThrow();
});

test("usage is shown for a subaccount, by day, for a master and for its subaccounts", async () => {
  const { json, run, mas, sub, database } = await sent();
  const { start } = periodAt(utcMonths, database.clock.now());
  expect(await json("usage", sub)).toMatchObject({ period: { start: start.toISOString() }, used: 3, remaining: 97 });
  expect((await json("usage", sub, "--daily")).days.at(-1)).toMatchObject({ units: 3, messages: 1 });
  expect((await json("usage", mas, "--daily")).data).toMatchObject([{ subaccount_id: sub, units: 3, messages: 1 }]);
  expect(await run("usage", mas, "--daily", "--subaccounts")).toMatchObject({ code: 2 });
  expect(await json("usage", mas, "--period", start.toISOString().slice(0, 10))).toMatchObject({
    used: 3,
    allowance: 1000,
  });
  expect((await json("usage", mas, "--subaccounts")).data).toMatchObject([
    { used: 0 },
    { id: sub, used: 3, limit: 100 },
  ]);
  expect(await json("usage", sub, "--forecast")).toMatchObject({ used: 3, limit: 100, state: "unknown", at_end: null });
  expect((await run("usage", mas, "--forecast")).out).toMatch(/^100 % +too few days are known$/m);
  expect(await run("usage", sub, "--forecast", "--daily")).toMatchObject({ code: 2 });
  expect(await run("usage", sub, "--period", "yesterday")).toMatchObject({
    code: 1,
    err: expect.stringContaining("No period starts on yesterday"),
  });
  expect(await run("usage", sub, "--subaccounts")).toMatchObject({ code: 2 });
});

test("a statement is previewed, closed when its period is over, and exported", async () => {
  const { json, run, mas, env, database } = await sent();
  expect(await json("statement", "show", mas)).toMatchObject({ id: null, units: 3, billed: 3, overage_units: 0 });
  expect(await json("statement", "close", mas)).toEqual({ data: [] });
  expect(await run("statement", "close")).toMatchObject({ code: 2 });
  const { start, end } = periodAt(utcMonths, database.clock.now());
  const ahead = Math.ceil((end.getTime() - database.clock.now().getTime()) / 3_600_000) + 1;
  const later = (...argv: string[]) => runWith({ ...env, POSTMETER_CLOCK_OFFSET: `+${ahead}h` }, ...argv);
  expect(JSON.parse((await later("statement", "close", mas, "--json")).out).data).toMatchObject([{ units: 3 }]);
  const date = start.toISOString().slice(0, 10);
  expect(await json("statement", "show", mas, date)).toMatchObject({
    id: expect.stringMatching(/^stm_/),
    units: 3,
    chain_hash: expect.any(String),
  });
  expect((await json("statement", "list", mas)).data).toHaveLength(1);
  const sealed = await run("statement", "show", mas, date, "--sealed");
  const { lines_hash } = await json("statement", "show", mas, date);
  expect(createHash("sha256").update(sealed.out).digest("hex")).toBe(lines_hash);
  expect(await run("statement", "show", mas, "--sealed")).toMatchObject({
    code: 1,
    err: expect.stringContaining("preview"),
  });
  const { out } = await run("statement", "show", mas, date, "--csv");
  expect(out.split("\r\n")[0]).toMatch(/^period_start,/);
  expect(out).toContain('"Corner Shop","",100,0,1,3,0,3');
  const sheet = await run("statement", "show", mas, date, "--billing-profile", "", "--csv");
  expect(sheet).toMatchObject({ code: 0, out });
  expect((await run("statement", "show", mas, date)).out).toMatch(/^number +1$/m);
  expect(await run("statement", "show", mas, "--billing-profile", "Berlin")).toMatchObject({ code: 1 });
});

test("the ledger is proven; a lie makes the command fail and name it", async () => {
  const { json, run, msg, sub, database } = await sent();
  expect(await json("ledger", "correct", msg, "-2", "--note", "ours")).toMatchObject({
    id: expect.stringMatching(/^ent_/),
    units: -2,
    message_id: msg,
  });
  expect(await json("ledger", "corrections")).toMatchObject({
    data: [{ message_id: msg, units: -2, actor_kind: "cli", note: "ours" }],
    has_more: false,
  });
  const good = await run("ledger", "verify");
  expect(good).toMatchObject({ code: 0, out: expect.stringMatching(/^The ledger is in order: 2 entries/) });
  await database.pool.query("update usage set used = used + 1 where account_id <> master_id");
  const bad = await run("ledger", "verify");
  expect(bad.code).toBe(1);
  expect(bad.out).toContain(`counters  ${sub}  period`);
  expect(bad.out).toContain("its counter says 4 units, the ledger 3");
  const read = await run("ledger", "verify", "--json");
  expect(read.code).toBe(1);
  expect(JSON.parse(read.out)).toMatchObject({ ok: false, found: 1 });
});

test("the ledger is proven of one master or of one period of it; the answer names what it is of, and what it is not", async () => {
  const { json, run, mas, sub, database, env } = await sent();
  const { masterId: other } = await seedMaster(database);
  const { start, end } = periodAt(utcMonths, database.clock.now());
  const date = start.toISOString().slice(0, 10);
  const verify = (...argv: string[]) => run("ledger", "verify", ...argv);
  const far = `In order, as far as ${mas} in the period from ${date} 00:00:00Z goes: 1 entries, 0 statements`;
  expect(await verify("--master", mas, "--period", date)).toMatchObject({
    code: 0,
    out: expect.stringMatching(new RegExp(`^${far}.*\nLeft out: the files of archived months.*; prices .*; the chain`)),
  });
  expect((await verify("--master", mas)).out).toMatch(new RegExp(`^In order, as far as ${mas} goes: 1 entries`));
  expect(await json("ledger", "verify", "--master", mas, "--period", date)).toMatchObject({
    ok: true,
    scope: { master_id: mas, period: { start: start.toISOString(), end: end.toISOString() } },
    left_out: ["archive", "day_totals", "credit_lots", "prices", "chain"],
  });
  expect(await json("ledger", "verify", "--master", mas)).toMatchObject({
    scope: { master_id: mas, period: null },
    left_out: ["archive", "day_totals"],
  });
  expect(await json("ledger", "verify")).toMatchObject({ scope: null, left_out: [] });

  const ahead = Math.ceil((end.getTime() - database.clock.now().getTime()) / 3_600_000) + 1;
  const later = (...argv: string[]) => runWith({ ...env, POSTMETER_CLOCK_OFFSET: `+${ahead}h` }, ...argv);
  const [{ id }] = JSON.parse((await later("statement", "close", mas, "--json")).out).data;
  const next = end.toISOString().slice(0, 10);
  await database.pool.query("update usage set used = used + 1 where account_id <> master_id");
  const bad = await later("ledger", "verify", "--master", mas, "--period", id);
  expect(bad.code).toBe(1);
  expect(bad.out).toContain(`counters  ${sub}  period`);
  expect(bad.out).toContain(`1 difference, as far as ${mas} in the period from ${date} 00:00:00Z goes; 1 entries`);
  expect(await verify("--master", mas)).toMatchObject({ code: 1 });
  expect(await later("ledger", "verify", "--master", mas, "--period", next)).toMatchObject({ code: 0 });
  expect(await verify("--master", formatId("mas", other))).toMatchObject({ code: 0 });

  const refused = async (...argv: string[]) => {
    const { code, err } = await verify(...argv);
    return [code, err];
  };
  expect(await refused("--period", date)).toEqual([2, expect.stringContaining("give --master, too")]);
  expect(await refused("--master", sub)).toEqual([2, expect.stringContaining("It must be an id like mas_")]);
  expect(await refused("--master", mas, "--period", "yesterday")).toEqual([
    1,
    expect.stringContaining("No period starts on yesterday"),
  ]);
  expect(await refused("--master", formatId("mas", other), "--period", id)).toEqual([
    1,
    "postmeter: There is no such statement of this master.\n",
  ]);
});
