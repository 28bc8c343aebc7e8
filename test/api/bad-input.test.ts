/** Every member of every body, with what it must not be: 422 names it, and nothing is stored. */
import { sql } from "kysely";
import { expect, test } from "vitest";
import type { Endpoint } from "../../src/api/endpoint.ts";
import { type Answer, OPERATOR_KEY, openDoor } from "./client.ts";
import { sampleBodies } from "./sample-bodies.ts";
import { createWorld } from "./world.ts";

const door = await openDoor();
const world = await createWorld(door);
const { key } = world.master;
const ownDomain = await door.call("POST", "/v1/domains", { key, body: { name: "granted.example" } });

type Schema = {
  type?: string | string[];
  minimum?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  $ref?: string;
};
const document = (await door.call("GET", "/openapi.json")).body;

const taking = door.app.endpoints
  .filter(({ definition: { body, path, access } }) => body !== undefined && path !== "/v1/account" && !access.people)
  .map((endpoint): [string, Endpoint] => {
    const { method, path } = endpoint.definition;
    return [`${method.toUpperCase()} ${path}`, endpoint];
  });

function schemaOf({ definition: { path, method } }: Endpoint): Schema {
  const { schema } = document.paths[path][method].requestBody.content["application/json"];
  return schema.$ref === undefined ? schema : document.components.schemas[schema.$ref.split("/").at(-1)];
}

const members = taking.flatMap(([name, endpoint]) =>
  Object.entries(schemaOf(endpoint).properties ?? {}).map(
    ([member, schema]) => [`${name} ${member}`, name, endpoint, member, schema] as const,
  ),
);

/** JSON texts that no member of that type is. */
function wrongTexts({ type, minimum = 0 }: Schema, member: string): string[] {
  const types = [type ?? []].flat();
  const all = [
    "1",
    "1.5",
    "-1",
    '"x"',
    "true",
    "[]",
    "{}",
    "[null]",
    '[{"a":1}]',
    '"\\u0000"',
    '"a\\ud800"',
    "1e400",
    "1e300",
  ];
  const fits: Record<string, RegExp> = {
    integer: /^1$/,
    number: /^1(\.5)?$/,
    boolean: /^true$/,
    array: /^$/,
    object: /^(\{\})$/,
    string: /^"x"$/,
  };
  const wrong = all.filter((text) => !types.some((one) => fits[one]?.test(text)));
  if (!types.includes("null")) wrong.push("null");
  return [...wrong, ...(special[member] ?? [])].filter((text) => minimum >= 0 || !/^-\d+$/.test(text));
}

const long = JSON.stringify("x".repeat(20_000));
const special: Record<string, string[]> = {
  name: ['""', '" "', '"a\\nb"', long],
  owner_name: ['""', '"a\\rb"', long],
  owner_email: ['"x"', '"@x.example"', '"a@b c"', '"a@[127.0.0.1]"', '"a@x.example\\r\\nBcc: b@x.example"'],
  notification_emails: ["[]", '["x"]', '[{"email":"a@x.example"}]', '[{"email":"a@x.example","topics":["all"]}]'],
  monthly_limit: ["-1", "1e15", "9007199254740993", "0.5"],
  allowance: ["-1", "1e15", "0.5"],
  units: ["0", "-5", "1e15"],
  ceiling_factor: ["0.5", "1001", "1.001"],
  anchor_day: ["0", "32", "1.5"],
  time_zone: ['"Mars/Olympus"', '"+01:00"', '""', '"../../etc/passwd"'],
  language: ['"no language"', '""'],
  overage: ['"free"'],
  sender_policy: ['"none"'],
  onboarding: ['"later"'],
  alert_thresholds: ["[]", "[0]", "[101]", "[90,80]", "[80,80]", "[80.5]"],
  expires_at: ['"tomorrow"', '"2026-13-01T00:00:00Z"', '"2026-12-01"'],
  slug: ['"Has Space"', '"-x"', '"UPPER"', '"ä"'],
  external_id: ['""', long],
  plan: ['""', long],
  region: ['""', long],
  notes: [long],
  public_message: ['"a\\r\\nb"', long],
  metadata: [`{"a":${long}}`, '{"a":"\\u0000"}', '{"\\u0000":1}', "[1]"],
  scopes: ["[]", '["root"]', '["read","read"]'],
  subaccount_id: ['"x"', '"mas_01kb2m5xj7e1fr0x4m4f6a0z3q"', '"sub_"'],
  subaccount_ids: ["[]", '["x"]', '["mas_01kb2m5xj7e1fr0x4m4f6a0z3q"]'],
  overlap_seconds: ["-1", "604801", "0.5"],
  note: [long],
  question: ['""', long],
  answer: ['""', long],
};

const specialOf: Record<string, string[]> = {
  "POST /v1/domains": ['"no domain"', '"com"', '"localhost"', '"a..b"', '"x.example/"', `"${"a".repeat(64)}.example"`],
};

function ask(name: string, endpoint: Endpoint, body: string): Promise<Answer> {
  const { path, method, access } = endpoint.definition;
  const { things } = world.customer;
  const id = path.includes("/grants") ? ownDomain.body.id : thingOf(path);
  const url = path.replace("{id}", id ?? things.sub);
  void name;
  const caller = access.who.includes("master") ? key : OPERATOR_KEY;
  return door.call(method.toUpperCase(), url, { key: caller, body, headers: { "Content-Type": "application/json" } });
}

function thingOf(path: string): string | undefined {
  const { things } = world.customer;
  const { mas: masters, cred: credentials, msg: queue, dom: domains, view: views, imp: imports, blk, rev } = things;
  const { rul, plan: plans, tpl: templates, bil: billing_profiles, rat: rate_cards, tra: transfers } = things;
  const { mem: members, key: keys } = world.master.things;
  const kinds = {
    masters,
    credentials,
    queue,
    domains,
    views,
    imports,
    bulk_changes: blk,
    reviews: rev,
    alert_rules: rul,
    members,
    keys,
    plans,
    templates,
    billing_profiles,
    rate_cards,
    transfers,
  };
  return kinds[path.split("/")[2] as keyof typeof kinds];
}

const tables = [
  "master",
  "subaccount",
  "credential",
  "api_key",
  "top_up",
  "sender_domain",
  "domain_grant",
  "audit_entry",
];

/** What is stored, but for times of use. */
async function stored(): Promise<string> {
  const parts = tables.map((table) =>
    sql.raw(
      `(select md5(string_agg((to_jsonb(t) - 'last_used_at')::text, '' order by t::text)) from ${table} t) as ${table}`,
    ),
  );
  const { rows } = await sql`select ${sql.join(parts)}`.execute(door.database.db);
  return JSON.stringify(rows);
}

test("there are members to try", () => {
  expect(members.length).toBeGreaterThan(60);
  for (const [name] of taking)
    if (!/hold|release|\/\{id\}\/\w+$/.test(name)) expect(sampleBodies, name).toHaveProperty([name]);
});

test.each(members)(
  "%s: what it must not be is 422, names it, and stores nothing",
  async (_, name, endpoint, member, schema) => {
    const before = await stored();
    const others = { ...sampleBodies[name], [member]: undefined };
    const extra = member === "name" ? (specialOf[name.replace("/subaccounts/{id}", "")] ?? []) : [];
    for (const text of [...wrongTexts(schema, member), ...extra]) {
      const body = JSON.stringify({ ...others, [member]: "@@" }).replace('"@@"', text);
      const answer = await ask(name, endpoint, body);
      expect([answer.status, answer.body.type], `${body.slice(0, 200)} ${answer.text}`).toEqual([
        422,
        "/problems/invalid",
      ]);
      const [first] = answer.body.errors;
      expect(first.pointer, body.slice(0, 200)).toMatch(new RegExp(`^/${member}(/|$)`));
      expect(first.detail).not.toBe("");
    }
    expect(await stored()).toBe(before);
  },
);

test.each(members)("%s: the document says truly whether it may be null", (_, name, endpoint, member, schema) => {
  const { body } = endpoint.definition;
  const sample = { ...sampleBodies[name], [member]: null };
  const result = body!.safeParse(sample);
  const refused = result.error?.issues.some((issue) => issue.path[0] === member) ?? false;
  expect([schema.type].flat().includes("null")).toBe(!refused);
});

test.each(taking)("%s: a member that is unknown is 422, names it, and stores nothing", async (name, endpoint) => {
  const before = await stored();
  for (const unknown of ["nope", "__proto__", "id", "a/b~c", ""]) {
    const body = JSON.stringify({ ...sampleBodies[name], "@@": 1 }).replace("@@", unknown);
    const answer = await ask(name, endpoint, body);
    expect([answer.status, answer.body.type], answer.text).toEqual([422, "/problems/invalid"]);
    const pointers = answer.body.errors.map(({ pointer }: { pointer: string }) => pointer);
    expect(pointers).toContain(`/${unknown.replace("~", "~0").replace("/", "~1")}`);
  }
  expect(await stored()).toBe(before);
});

const requiring = taking.flatMap(([name, endpoint]) =>
  (schemaOf(endpoint).required ?? []).map((member) => [`${name} ${member}`, name, endpoint, member] as const),
);

test.each(requiring)("%s: when it is missing, 422 says that it is required", async (_, name, endpoint, member) => {
  const answer = await ask(name, endpoint, JSON.stringify({ ...sampleBodies[name], [member]: undefined }));
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toContainEqual({ pointer: `/${member}`, detail: "This member is required." });
});
