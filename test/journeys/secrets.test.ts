/** After a run of the whole program no secret stands in its log, its database, its metrics or its answers. */
import { expect, test } from "vitest";
import { createTenant, mailer } from "../support/relay.ts";
import { openScene } from "./scene.ts";

const WRONG = "a-wrong-password-that-somebody-tried";
const UPSTREAM = "the-password-of-the-upstream";
const scene = await openScene({
  withRedis: false,
  env: {
    POSTMETER_UPSTREAM_URL: `smtp://relay-user:${UPSTREAM}@127.0.0.1:9?tls=required`,
    POSTMETER_LOG_LEVEL: "trace",
  },
});
const { relay, database } = scene;

/** As they are, and as AUTH writes them. */
function formsOf(secrets: readonly string[]): string[] {
  return secrets.flatMap((secret) => {
    const bytes = Buffer.from(secret);
    const inside = [0, 1, 2].map((n) =>
      Buffer.concat([Buffer.alloc(n), bytes])
        .toString("base64")
        .slice(n + 1, -4),
    );
    return [secret, encodeURIComponent(secret), bytes.toString("hex"), ...inside];
  });
}

/** All that the database holds, as text; binary columns also as what they may be the text of. */
async function dump(): Promise<string> {
  const { rows } = await database.pool.query<{ name: string }>(
    "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'graphile_worker')",
  );
  const parts: string[] = [];
  for (const { name } of rows) {
    const { rows: all } = await database.pool.query(`select * from ${name}`);
    for (const row of all)
      parts.push(JSON.stringify(row, (_, v) => (v?.type === "Buffer" ? Buffer.from(v.data).toString("latin1") : v)));
  }
  return parts.join("\n");
}

test("no password, key or AUTH line is kept or told, and the search would find one", async () => {
  const tenant = await createTenant(relay, {});
  const key = { key: tenant.masterKey };
  const headers = { "idempotency-key": "once" };
  const ask = { name: "app", scopes: ["full"] };
  const made = await relay.call("POST", "/v1/keys", ask, { ...key, headers });
  const again = await relay.call("POST", "/v1/keys", ask, { ...key, headers });
  expect(again.body.key).toBe(made.body.key);
  const from = { from: "app@customer.example", to: "r@example.net", text: "Hello" };
  await mailer(relay, tenant).sendMail(from);
  await expect(mailer(relay, { ...tenant, password: WRONG }).sendMail(from)).rejects.toThrow("535");
  const answers = [
    await relay.call("GET", "/v1/account", undefined, { key: `pm_live_${WRONG}` }),
    await relay.call("POST", "/v1/keys", { password: WRONG, key: made.body.key }, key),
    await relay.call("POST", "/v1/subaccounts", { name: 5, secret: WRONG }, key),
    await relay.call("GET", "/v1/events", undefined, key),
    await relay.call("GET", "/v1/audit", undefined, key),
    await relay.call("GET", "/v1/keys", undefined, key),
    await relay.call("GET", "/v1/messages", undefined, key),
    await relay.call("GET", "/metrics"),
  ].map(({ text }) => text);
  const { operatorKey, home } = relay;
  const secrets = formsOf([
    tenant.password,
    tenant.masterKey,
    made.body.key,
    WRONG,
    UPSTREAM,
    operatorKey,
    home.secret,
  ]);
  await relay.stop();
  const places = { log: JSON.stringify(relay.log), database: await dump(), answers: answers.join("\n") };
  const found = Object.entries(places).flatMap(([place, text]) =>
    secrets.filter((secret) => text.includes(secret)).map((secret) => `${place}: ${secret}`),
  );
  expect(found).toEqual([]);
  expect(relay.log.length).toBeGreaterThan(5);
  const line = Buffer.from(`\0${tenant.username}\0${tenant.password}`).toString("base64");
  await database.pool.query("update message set envelope_id = $1", [line]);
  const planted = await dump();
  expect(secrets.some((secret) => planted.includes(secret))).toBe(true);
});
