/** An auditor's view of statements: with the sealed texts and SHA-256 alone the chain of a master can be followed. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { closeMaster } from "../../src/metering/close.ts";
import { parseId } from "../../src/platform/ids.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { newMaster, newSubaccount, openDoor } from "./client.ts";

const DAY_MS = 86_400_000;
const door = await openDoor();
const { call, database } = door;

const sha256 = (...parts: (string | Buffer)[]) =>
  parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest("hex");

test("the sealed text of a statement hashes to lines_hash, and with the chain hash before it to its own", async () => {
  const master = await newMaster(door);
  const { key } = master;
  const card = {
    name: "Standard",
    currency: "EUR",
    price_minor: 900,
    cycle: "month",
    included_units: 2,
    overage_per_1000: "1/3",
  };
  expect((await call("POST", "/v1/rate_cards", { key, body: { ...card, is_default: true } })).status).toBe(201);
  const shop = await newSubaccount(door, master, { name: 'Zürich "1"', billing_profile: "Süd" });
  const account = { masterId: parseId("mas", master.masterId)!, subaccountId: parseId("sub", shop.id)! };
  await acceptUnits(database, account, 3);
  await using after = await later(database, 70 * DAY_MS);
  expect((await closeMaster(after.db, account.masterId, after)).length).toBeGreaterThanOrEqual(2);

  const { data } = (await call("GET", "/v1/statements", { key })).body;
  let chain = "0".repeat(64);
  for (const { id, lines_hash, chain_hash } of data.toReversed()) {
    const { text, headers } = await call("GET", `/v1/statements/${id}.txt`, { key });
    expect(headers.get("content-type")).toBe("text/plain; charset=utf-8");
    expect(sha256(text)).toBe(lines_hash);
    chain = sha256(Buffer.from(chain, "hex"), Buffer.from(lines_hash, "hex"));
    expect(chain).toBe(chain_hash);
    const rows = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(rows[0].slice(0, 2)).toEqual(["statement/2", data.find((one: { id: string }) => one.id === id).number]);
    expect(rows.map(([kind]) => kind)).toContain("line");
  }
  const byAccept = await call("GET", `/v1/statements/${data[0].id}`, { key, headers: { Accept: "text/plain" } });
  expect(sha256(byAccept.text)).toBe(data[0].lines_hash);
});

test("a preview has none, nor has a part of a statement", async () => {
  const { key } = await newMaster(door);
  expect((await call("GET", "/v1/statements/current.txt", { key })).status).toBe(409);
  expect((await call("GET", "/v1/statements/current.txt?billing_profile=", { key })).status).toBe(422);
});
