/** A partner with hundreds of child accounts: sold by plans, made from a table, watched by a view, changed in bulk. */
import { beforeAll, expect, test } from "vitest";
import { verifyLedger } from "../../src/metering/verify.ts";
import { parseId } from "../../src/platform/ids.ts";
import { acceptUnits, later } from "../support/ledger.ts";
import { type Answer, createTenant, eventually, mailer, type Relay, type Tenant } from "../support/relay.ts";
import { lettersTo, letterTo } from "./people.ts";
import { openScene } from "./scene.ts";

const CHILDREN = 200;
const DAY_MS = 86_400_000;
const OPS = "ops@acme.example";

const scene = await openScene({ env: { POSTMETER_UPSTREAM_URL: "capture:" } });
const { database } = scene;

type Child = Readonly<{ id: string; username: string; password: string }>;

let relay: Relay = scene.relay;
let partner: Tenant;
/** By external id. */
let children: ReadonlyMap<string, Child>;
const child = (n: number): Child => children.get(`c-${n}`)!;

async function call(method: string, path: string, body?: unknown, key = partner.masterKey): Promise<Answer> {
  const answer = await relay.call(method, path, body, { key });
  expect(answer.status, answer.text).toBeLessThan(300);
  return answer;
}
const shown = async ({ id }: Pick<Child, "id">) => (await call("GET", `/v1/subaccounts/${id}`)).body;
const used = async () => (await call("GET", "/v1/usage")).body.used as number;

async function send(from: Child, to: number | readonly string[] = 1): Promise<string> {
  const recipients = typeof to === "number" ? Array.from({ length: to }, (_, i) => `reader${i}@example.net`) : [...to];
  const mail = { from: "app@customer.example", to: recipients, subject: "Hello", text: "Hello." };
  const { response } = await mailer(relay, from).sendMail(mail);
  return response.split(" ").at(-1)!;
}

const finished = (path: string) =>
  eventually(async () => {
    const { body } = await call("GET", path);
    return body.state === "done" && body;
  }, `${path} is done`);

/** A job that its time would bring within a quarter of an hour. */
const runNow = (job: string) => database.pool.query("select graphile_worker.add_job($1)", [job]);

beforeAll(async () => {
  partner = await createTenant(relay, { allowance: 20_000 });
  const price = { amount_minor: 900, currency: "EUR" };
  await call("POST", "/v1/plans", { name: "Starter", monthly_limit: 20, price });
  await call("POST", "/v1/plans", { name: "Pro", monthly_limit: 200, price, features: { webhooks: true } });
});

test("two hundred accounts come from a table: looked at first, made once, their credentials taken once", async () => {
  const lines = Array.from({ length: CHILDREN }, (_, i) => `c-${i},Shop ${i},Starter,20`);
  const csv = `external_id,name,plan,monthly_limit\r\n${lines.join("\r\n")}\r\n`;
  const response = await fetch(`http://127.0.0.1:${relay.ports.http}/v1/subaccounts/import?dry_run=true`, {
    method: "POST",
    headers: { authorization: `Bearer ${partner.masterKey}`, "content-type": "text/csv" },
    body: csv,
  });
  // biome-ignore lint/suspicious/noExplicitAny: an answer of the API is read by its documented members
  const plan = (await response.json()) as any;
  expect(plan).toMatchObject({ state: "previewed", total: CHILDREN, planned: { create: CHILDREN, error: 0 } });
  await call("POST", `/v1/imports/${plan.id}/start`);
  expect(await finished(`/v1/imports/${plan.id}`)).toMatchObject({ created: CHILDREN, failed: 0 });
  const { text } = await call("POST", `/v1/imports/${plan.id}/credentials`);
  const cells = text.split("\r\n").map((line) => line.split(",").map((cell) => cell.replaceAll('"', "")));
  const made = cells.slice(1).map(([id, external, , username, password]) => [external, { id, username, password }]);
  children = new Map(made as [string, Child][]);
  const again = await relay.call("POST", `/v1/imports/${plan.id}/credentials`, undefined, { key: partner.masterKey });
  expect(again.status).toBeGreaterThanOrEqual(400);
  expect(await shown(child(CHILDREN - 1))).toMatchObject({ plan: "Starter", monthly_limit: 20, state: "active" });
});

test("a template gives a new account what its like have", async () => {
  const settings = { plan: "Pro", language: "de", region: "Bavaria" };
  const { body: template } = await call("POST", "/v1/templates", { name: "Germany", settings });
  const { body } = await call("POST", "/v1/subaccounts", { name: "Laden", template: template.id });
  expect(body).toMatchObject({ ...settings, monthly_limit: 200, features: { webhooks: true } });
});

test("a saved view finds those that are nearly full, and a bulk change raises them and no other", async () => {
  for (const [n, units] of [
    [3, 19],
    [5, 17],
    [8, 16],
    [9, 15],
  ] as const)
    await send(child(n), units);
  const filter = { used_percent_gte: 80, plan: "Starter" };
  const columns = ["external_id", "used"];
  const view = (await call("POST", "/v1/views", { name: "Nearly full", filter, sort: "-used_percent", columns })).body;
  const { body: list } = await call("GET", `/v1/subaccounts?view=${view.id}`);
  expect(list.data.map((one: { external_id: string }) => one.external_id)).toEqual(["c-3", "c-5", "c-8"]);
  const raise = { filter, change: { monthly_limit: { percent: 150 } }, dry_run: true };
  const { body: preview } = await call("POST", "/v1/subaccounts/bulk", raise);
  expect(preview).toMatchObject({ total: 3, totals: { limits_before: 60, limits_after: 90, allowance: 20_000 } });
  expect(preview.rows[0]).toMatchObject({ before: { monthly_limit: 20 }, after: { monthly_limit: 30 } });
  expect((await shown(child(3))).monthly_limit).toBe(20);
  await call("POST", `/v1/bulk_changes/${preview.id}/start`);
  expect(await finished(`/v1/bulk_changes/${preview.id}`)).toMatchObject({ changed: 3, failed: 0 });
  expect((await shown(child(3))).monthly_limit).toBe(30);
  expect((await shown(child(9))).monthly_limit).toBe(20);
  await send(child(3), 11);
  await expect(send(child(3))).rejects.toThrow(/Monthly limit reached: 30 of 30/);
});

test("a sandbox child goes the whole way: simulated answers, a counter of its own, nothing on the bill", async () => {
  const before = await used();
  const { body } = await call("POST", "/v1/subaccounts", { name: "Sandbox", monthly_limit: 10, sandbox: true });
  const box = { ...body.credential, id: body.id };
  const at = (name: string) => `${name}@simulator.postmeter.test`;
  const id = await send(box, [at("delivered"), at("bounced"), "anybody@example.net"]);
  const states = await eventually(async () => {
    const { recipients } = (await call("GET", `/v1/messages/${id}`)).body;
    const found = recipients.map(({ state }: { state: string }) => state);
    return !found.includes("queued") && found;
  }, "the simulator has answered");
  expect(states).toEqual(["delivered", "bounced", "delivered"]);
  expect((await shown(box)).usage).toMatchObject({ used: 3 });
  await expect(send(box, 8)).rejects.toThrow(/8 recipients, but only 7 of 10 left/);
  expect(await used()).toBe(before);
});

test("a review holds a child's mail until the operator has decided; both sides are asked, the partner answers", async () => {
  const held = child(20);
  await call("PATCH", `/v1/subaccounts/${held.id}`, { owner_email: "owner20@shop.example" });
  const question = "Where do the addresses come from?";
  const ask = { subaccount_id: held.id, question, hold: true };
  const { body: review } = await call("POST", "/v1/reviews", ask, relay.operatorKey);
  expect((await letterTo(relay, OPS, /Shop 20/)).text).toContain(question);
  await eventually(async () => (await lettersTo(relay, "owner20@shop.example", /./)) === 1, "its owner is asked");
  const id = await send(held, 2);
  await send(child(21));
  const state = async () => (await call("GET", `/v1/messages/${id}`)).body.recipients[0].state;
  expect(await state()).toBe("held");
  await call("POST", `/v1/reviews/${review.id}/answer`, { answer: "From orders." });
  expect(await state()).toBe("held");
  await call("POST", `/v1/reviews/${review.id}/close`, { decision: "release" }, relay.operatorKey);
  await eventually(async () => (await state()) === "delivered", "what was held is delivered");
});

test("credits that the partner has bought carry a child past its limit, and no further", async () => {
  const pack = { master_id: partner.masterId, units: 50 };
  await call("POST", "/v1/credits", pack, relay.operatorKey);
  await call("POST", `/v1/subaccounts/${child(3).id}/credits`, { units: 12 });
  await send(child(3), 12);
  await expect(send(child(3))).rejects.toThrow(/550 5\.4\.5/);
  expect((await call("GET", "/v1/credits")).body.data).toMatchObject([{ allocated: 12, left: 38 }]);
});

test("with the next period come its plan, the notice of an end, and what a forecast can be drawn from", async () => {
  const inDays = (days: number) => new Date(Date.now() + days * DAY_MS).toISOString();
  const [upgraded, ending, ended, steady] = [child(30), child(31), child(32), child(33)];
  await call("POST", `/v1/subaccounts/${upgraded.id}/plan`, { plan: "Pro", when: "next_period" });
  expect(await shown(upgraded)).toMatchObject({ plan: "Starter", monthly_limit: 20, next_plan: { plan: "Pro" } });
  await call("PATCH", `/v1/subaccounts/${ending.id}`, { expires_at: inDays(40) });
  await call("PATCH", `/v1/subaccounts/${ended.id}`, { expires_at: inDays(10) });
  await call("PATCH", `/v1/subaccounts/${steady.id}`, { monthly_limit: 5000 });
  expect((await call("GET", `/v1/subaccounts/${steady.id}/forecast`)).body.state).toBe("unknown");
  await relay.stop();
  const account = { masterId: parseId("mas", partner.masterId)!, subaccountId: parseId("sub", steady.id)! };
  for (let day = 4; day < 32; day += 1) {
    await using then = await later(database, day * DAY_MS);
    expect(await acceptUnits(then, account, 10)).toMatchObject({ kind: "accepted" });
  }
  relay = await scene.startAgain({ env: { POSTMETER_CLOCK_OFFSET: "+32d" } });

  await send(upgraded, 150);
  await runNow("next_plans");
  const taken = await eventually(async () => {
    const now = await shown(upgraded);
    return now.next_plan === null && now;
  }, "the plan is shown as taken over");
  expect(taken).toMatchObject({ plan: "Pro", monthly_limit: 200, usage: { used: 150 } });

  await runNow("expiring");
  await letterTo(relay, OPS, /Shop 31 expires in 14 days or less/);
  await call("POST", `/v1/subaccounts/${ending.id}/renew`, { months: 12 });
  await expect(send(ended)).rejects.toThrow(/525 5\.7\.13 Account is expired/);
  await call("POST", `/v1/subaccounts/${ended.id}/renew`, {});
  await send(ended);

  const { body: forecast } = await call("GET", `/v1/subaccounts/${steady.id}/forecast`);
  expect(forecast).toMatchObject({ limit: 5000, state: "not_expected" });
  expect(forecast.days).toBeGreaterThanOrEqual(27);
  const { low, expected, high } = forecast.at_end;
  expect([low, expected, high]).toEqual([low, expected, high].sort((a, b) => a - b));
  expect(expected).toBeGreaterThanOrEqual(forecast.used);
  expect(expected).toBeLessThanOrEqual(forecast.used + 32 * 10);
  expect((await call("GET", "/v1/forecast")).body).toMatchObject({ limit: 20_000 });
});

test("the bill of the period that has ended names each child that has sent, and the books are in order", async () => {
  const statement = async () => {
    const { data } = (await call("GET", "/v1/statements")).body;
    return data.find(({ closed_at: closedAt }: { closed_at: string | null }) => closedAt !== null);
  };
  await runNow("statements");
  const closed = await eventually(statement, "the first period is billed");
  const start = closed.period.start.slice(0, 10);
  const { body } = await call("GET", `/v1/statements/${start}`);
  const lines = Object.fromEntries(
    body.lines.map((line: { external_id: string; units: number }) => [line.external_id, line.units]),
  );
  expect(lines).toMatchObject({ "c-3": 42, "c-5": 17, "c-8": 16, "c-9": 15, "c-20": 2, "c-21": 1 });
  const sum = body.lines.reduce((total: number, { units }: { units: number }) => total + units, 0);
  expect(body.units).toBe(sum);
  await using now = await later(database, 32 * DAY_MS);
  expect(await verifyLedger(now.db, now.clock)).toMatchObject({ ok: true, found: 0 });
});
