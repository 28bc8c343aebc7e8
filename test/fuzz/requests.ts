/**
 * Requests to every route, valid ones with something wrong in them and such as nobody would write. Whatever comes is answered
 * as the definition of the route says, or with a problem that shows nothing of the house; never with 500.
 */
import fc from "fast-check";
import { type Ask, type Door, OPERATOR_KEY } from "../api/client.ts";
import { sampleBodies } from "../api/sample-bodies.ts";
import { nameOf, pathOf } from "../api/strangers.ts";
import { createWorld } from "../api/world.ts";
import { nastyText } from "./texts.ts";

const header = nastyText(80).map((text) => text.replace(/[^\x20-\x7e]/g, ""));
const value = fc.oneof(
  nastyText(100),
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1.5,
    1e15,
    2 ** 53,
    1e300,
    "",
    [],
    {},
    [null],
    "2026-11-26",
    "9999-12-31",
  ),
  fc.constantFrom("id,name", "-created_at", "1", "P1D", "2026-02-30T00:00:00Z", "0000-01-01", "+01:00", "true"),
);

/** A body that the route takes, with members changed, added and left out; or anything else. */
function bodyFor(sample: Record<string, unknown> | undefined): fc.Arbitrary<unknown> {
  const names = [...Object.keys(sample ?? {}), "name", "metadata", "notification_emails", "status", "__proto__", "id"];
  const changed = fc
    .tuple(fc.dictionary(fc.oneof(fc.constantFrom(...names), nastyText(20)), value, { maxKeys: 3 }), fc.subarray(names))
    .map(([change, kept]) => {
      const own = Object.entries(sample ?? {}).filter(([name]) => kept.includes(name));
      return { ...Object.fromEntries(own), ...change };
    });
  return fc.oneof({ weight: 5, arbitrary: changed }, { weight: 1, arbitrary: value }, nastyText(400));
}

const filters = [
  ..."limit cursor q sort order status plan period from to type subaccount_id message_id master_id recipient external_id".split(
    " ",
  ),
  "fields",
  "include",
];

/** The property over a world of its own. */
export async function requestProperty(door: Door) {
  const world = await createWorld(door);
  const callers = [OPERATOR_KEY, ...[world.master, world.customer, world.foreign].map(({ key }) => key), "pm_nobody"];
  const { endpoints } = door.app;
  const request = fc
    .tuple(fc.nat(endpoints.length - 1), fc.constantFrom(...callers), fc.boolean())
    .chain(([n, key, ofWorld]) => {
      const endpoint = endpoints[n]!;
      const known = pathOf(endpoint, world.master.things);
      const id = fc.oneof(nastyText(60), fc.constantFrom(...Object.values(world.customer.things)));
      return fc.record({
        name: fc.constant(nameOf(endpoint)),
        method: fc.constant(endpoint.definition.method.toUpperCase()),
        key: fc.constant(key),
        path: ofWorld
          ? fc.constant(known)
          : id.map((text) => endpoint.definition.path.replace(/\{\w+\}/, encodeURIComponent(text.toWellFormed()))),
        query: fc.dictionary(fc.constantFrom(...filters), nastyText(60), { maxKeys: 3 }),
        body: bodyFor(sampleBodies[nameOf(endpoint)]),
        headers: fc.dictionary(
          fc.constantFrom(
            "If-Match",
            "Idempotency-Key",
            "Accept",
            "Postmeter-Account",
            "Content-Type",
            "X-Forwarded-For",
          ),
          header,
          { maxKeys: 2 },
        ),
      });
    });
  return fc.asyncProperty(request, async ({ method, path, query, key, body, headers }) => {
    const search = new URLSearchParams(query).toString();
    const ask: Ask = { key, headers, ...(method === "GET" || method === "DELETE" ? {} : { body }) };
    await door.call(method, search === "" ? path : `${path}?${search}`, ask);
  });
}
