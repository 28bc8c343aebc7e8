/** docs/examples/stripe: every unit becomes an event once, through repetitions, late entries and a run that is cut off. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
// @ts-expect-error: an example in plain JavaScript
import { report } from "../../docs/examples/stripe/meter-events.mjs";
import { startApi } from "../../src/api/server.ts";
import { sumDays } from "../../src/metering/sum-days.ts";
import { parseId } from "../../src/platform/ids.ts";
import { type Child, newMaster, newSubaccount, openDoor } from "../api/client.ts";
import { addEntries, makeDays } from "../support/old-entries.ts";

const DAY_MS = 86_400_000;
const noon = Math.floor(Date.now() / DAY_MS) * DAY_MS - 20 * DAY_MS + DAY_MS / 2;
const periodStart = new Date(noon - 40 * DAY_MS);

const door = await openDoor();
const { database } = door;
const api = await startApi(door.deps);
const folder = await mkdtemp(join(tmpdir(), "postmeter-stripe-"));
afterAll(async () => {
  await api[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});
await makeDays(database, noon, noon + 3 * DAY_MS);

/** Stripe, as far as meter events go: an identifier counts once. After `failing` events it fails. */
async function fakeStripe() {
  const events = new Map<string, { customer: string; value: number }>();
  const at = { failing: Number.POSITIVE_INFINITY, asked: 0 };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = new URLSearchParams(Buffer.concat(chunks).toString());
      const value = Number(body.get("payload[value]"));
      const ok =
        at.asked++ < at.failing &&
        request.headers.authorization === "Bearer sk_test" &&
        body.get("event_name") === "mail_units" &&
        (body.get("identifier")?.length ?? 101) <= 100 &&
        /^\d{10}$/.test(body.get("timestamp") ?? "") &&
        value > 0;
      const id = body.get("identifier") ?? "";
      if (ok && !events.has(id)) events.set(id, { customer: body.get("payload[stripe_customer_id]") ?? "", value });
      response
        .writeHead(ok ? 200 : 500, { "Content-Type": "application/json" })
        .end(JSON.stringify({ identifier: id }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterAll(() => void server.close());
  const sum = (customer: string) =>
    [...events.values()].filter((event) => event.customer === customer).reduce((total, { value }) => total + value, 0);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, events, at, sum };
}

async function customer(master: Awaited<ReturnType<typeof newMaster>>, external_id: string) {
  const child: Child = await newSubaccount(door, master, { external_id });
  const of = { masterId: parseId("mas", master.masterId)!, subaccountId: parseId("sub", child.id)! };
  return {
    used: (day: number, units: number, kind: "accept" | "correction" = "accept") =>
      addEntries(database, [{ ...of, periodStart, atMs: noon + day * DAY_MS, units, kind }]),
  };
}

test("each unit is reported once", async () => {
  const stripe = await fakeStripe();
  const master = await newMaster(door);
  const options = {
    relay: `http://127.0.0.1:${api.port}`,
    relayKey: master.key,
    stripe: stripe.url,
    stripeKey: "sk_test",
    file: join(folder, "place.json"),
  };
  const [ada, ben, cash] = [
    await customer(master, "cus_ada"),
    await customer(master, "cus_ben"),
    await customer(master, "pays-cash"),
  ];
  expect(await report(options)).toBe(0);
  await ada.used(0, 7);
  await ada.used(1, 5);
  await ben.used(0, 11);
  await cash.used(0, 100);
  await sumDays(database.db);

  stripe.at.failing = stripe.at.asked + 2; // the third event is refused, and the run ends there
  await expect(report(options)).rejects.toThrow("500");
  stripe.at.failing = Number.POSITIVE_INFINITY;
  expect(await report(options)).toBe(3);
  expect(await report(options)).toBe(0);
  expect([stripe.sum("cus_ada"), stripe.sum("cus_ben"), stripe.events.size]).toEqual([12, 11, 3]);

  await ada.used(0, 3); // later than two days: the day's rows come again
  await sumDays(database.db);
  expect(await report(options)).toBe(1);
  expect([stripe.sum("cus_ada"), stripe.sum("cus_ben")]).toEqual([15, 11]);
  expect(JSON.parse(await readFile(options.file, "utf8"))).toMatchObject({ owed: { cus_ada: 0, cus_ben: 0 } });
});

test("what is taken back is set off against what comes next", async () => {
  const stripe = await fakeStripe();
  const master = await newMaster(door);
  const file = join(folder, "other.json");
  const options = {
    relay: `http://127.0.0.1:${api.port}`,
    relayKey: master.key,
    stripe: stripe.url,
    stripeKey: "sk_test",
    file,
  };
  const eve = await customer(master, "cus_eve");
  await eve.used(0, 10);
  await eve.used(1, -4, "correction");
  await eve.used(2, 9);
  await sumDays(database.db);
  expect(await report(options)).toBe(2);
  expect(stripe.sum("cus_eve")).toBe(15);
});

test("what was taken back as a whole and charged again has an identifier of its own", async () => {
  const stripe = await fakeStripe();
  const master = await newMaster(door);
  const relay = `http://127.0.0.1:${api.port}`;
  const file = join(folder, "again.json");
  const options = { relay, relayKey: master.key, stripe: stripe.url, stripeKey: "sk_test", file };
  const fay = await customer(master, "cus_fay");
  const told = [];
  for (const [units, kind] of [
    [10, "accept"],
    [-10, "correction"],
    [14, "accept"],
    [-6, "correction"],
    [8, "accept"],
  ] as const) {
    await fay.used(0, units, kind);
    await sumDays(database.db);
    await report(options);
    told.push(stripe.sum("cus_fay"));
  }
  expect(told).toEqual([10, 10, 14, 14, 16]); // of 10, 0, 14, 8, 16 units: what is above what was told before
});
