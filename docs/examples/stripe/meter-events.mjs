/**
 * Reports the usage of a master's subaccounts to Stripe as meter events; run it once an hour. Needs Node 20 and nothing else.
 *
 *   POSTMETER_URL=https://relay.example POSTMETER_KEY=pm_... STRIPE_KEY=sk_... node meter-events.mjs units.json
 *
 * A subaccount's external_id is the id of its customer at Stripe (`cus_...`); others are passed over. The file keeps where the last run
 * ended, and what was reported of each row since then: it is written after each page. Cut off before that, a run reports the page again,
 * with the same identifiers, which Stripe counts once (it knows an identifier for at least 24 hours).
 */
import { readFile, rename, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const KEEP_MS = 60 * 86_400_000; // after that a row is taken not to change again

/** @returns {Promise<number>} how many events were sent */
export async function report({ relay, relayKey, stripe, stripeKey, file, meter = "mail_units" }) {
  const state = await load(file);
  let sent = 0;
  for (;;) {
    const query = state.next === null ? "" : `?after=${encodeURIComponent(state.next)}`;
    const page = await ask(`${relay}/v1/usage/export${query}`, { headers: { Authorization: `Bearer ${relayKey}` } });
    for (const row of page.data) sent += await send(row);
    state.next = page.next;
    forget(state.reported);
    await save(file, state);
    if (!page.has_more) return sent;
  }

  /** A row that comes again with other figures is reported by its difference; a value below zero is not an event, so it waits for the next row. */
  async function send({ id, external_id: customer, from, billed_units: units }) {
    if (!customer?.startsWith("cus_")) return 0;
    const before = state.reported[id];
    const owed = (state.owed[customer] ?? 0) + units - (before ?? 0);
    state.reported[id] = units;
    state.owed[customer] = Math.min(owed, 0);
    if (owed <= 0) return 0;
    const body = new URLSearchParams({
      event_name: meter,
      identifier: before === undefined ? id : `${id}.${before}.${units}`, // one of its own for each difference
      timestamp: String(Math.floor(Date.parse(from) / 1000)),
      "payload[stripe_customer_id]": customer,
      "payload[value]": String(owed),
    });
    await ask(`${stripe}/v1/billing/meter_events`, {
      method: "POST",
      headers: { Authorization: `Bearer ${stripeKey}` },
      body,
    });
    return 1;
  }
}

async function ask(url, options) {
  const response = await fetch(url, options);
  const text = await response.text();
  if (!response.ok) throw new Error(`${options.method ?? "GET"} ${url}: ${response.status} ${text.slice(0, 500)}`);
  return JSON.parse(text);
}

async function load(file) {
  const text = await readFile(file, "utf8").catch((error) => {
    if (error.code === "ENOENT") return "{}";
    throw error;
  });
  return { next: null, reported: {}, owed: {}, ...JSON.parse(text) };
}

async function save(file, state) {
  await writeFile(`${file}.new`, `${JSON.stringify(state)}\n`, { flush: true });
  await rename(`${file}.new`, file);
}

function forget(reported) {
  const oldest = (Date.now() - KEEP_MS) / 1000;
  for (const id of Object.keys(reported)) if (Number(id.split(".").at(-1)) < oldest) delete reported[id];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const {
    POSTMETER_URL: relay,
    POSTMETER_KEY: relayKey,
    STRIPE_KEY: stripeKey,
    STRIPE_URL: stripe = "https://api.stripe.com",
  } = process.env;
  const [, , file] = process.argv;
  if (!relay || !relayKey || !stripeKey || !file) {
    process.stderr.write("Set POSTMETER_URL, POSTMETER_KEY and STRIPE_KEY, and name the file that keeps the place.\n");
    process.exit(2);
  }
  process.stdout.write(`${await report({ relay, relayKey, stripe, stripeKey, file })} events sent\n`);
}
