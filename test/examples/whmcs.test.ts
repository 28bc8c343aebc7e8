/** docs/examples/whmcs: the calls of the provisioning module, played against our API; and the module itself where PHP is installed. */
import { spawn, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { startApi } from "../../src/api/server.ts";
import { newMaster, openDoor, type Tenant } from "../api/client.ts";
import { root } from "../support/source-files.ts";

const folder = join(root, "docs/examples/whmcs/modules/servers/postmeter");

type Call = { method: string; path: string; idempotency_key?: string; body?: Record<string, unknown> };
const calls: Record<string, Call> = JSON.parse(readFileSync(join(folder, "calls.json"), "utf8"));
const source = readFileSync(join(folder, "postmeter.php"), "utf8");

type Values = Record<string, unknown>;

/** As postmeter_fill: null members are left out. */
function fill(template: unknown, values: Values): unknown {
  if (typeof template !== "string") {
    const members = Object.entries(template as object).map(([name, part]) => [name, fill(part, values)] as const);
    return Object.fromEntries(members.filter(([, part]) => part !== null));
  }
  const [, whole] = /^\{(\w+)\}$/.exec(template) ?? [];
  if (whole !== undefined) return values[whole] ?? null;
  return template.replaceAll(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

const door = await openDoor();

async function play(master: Tenant, name: string, values: Values = {}) {
  const { method, path, idempotency_key: key, body } = calls[name]!;
  const headers = key === undefined ? {} : { "Idempotency-Key": fill(key, values) as string };
  const ask = { key: master.key, headers, ...(body === undefined ? {} : { body: fill(body, values) }) };
  return await door.call(method, fill(path, values) as string, ask);
}

/** With plans to be sold. */
async function reseller(): Promise<Tenant> {
  const master = await newMaster(door);
  for (const [name, monthly_limit] of [
    ["Starter", 1000],
    ["Business", 5000],
  ]) {
    expect((await door.call("POST", "/v1/plans", { key: master.key, body: { name, monthly_limit } })).status).toBe(201);
  }
  const own = { name: "Custom", custom_limit: true };
  expect((await door.call("POST", "/v1/plans", { key: master.key, body: own })).status).toBe(201);
  return master;
}

const order = {
  serviceid: 17,
  created: 1_790_000_000,
  name: "bakery.example",
  plan: "Starter",
  monthly_limit: null,
  owner_name: "Ada Baker",
  owner_email: "ada@bakery.example",
  clientid: "4",
};

describe("the calls", () => {
  test("all of them are played here, and the module names no other", () => {
    const named = [...source.matchAll(/postmeter_(?:ask|act)\(\$params, '(\w+)'/g)].map(([, name]) => name!);
    expect(new Set(named)).toEqual(new Set(Object.keys(calls)));
  });

  test("a service is created once, paused, changed, ended and ordered again", async () => {
    const master = await reseller();
    expect((await play(master, "TestConnection")).status).toBe(200);
    expect((await play(master, "Find", order)).body.data).toEqual([]);
    const made = await play(master, "CreateAccount", order);
    expect(made.body).toMatchObject({
      state: "active",
      plan: "Starter",
      monthly_limit: 1000,
      external_id: "whmcs-17",
      credential: { username: expect.any(String), password: expect.any(String) },
    });
    expect((await play(master, "CreateAccount", order)).body).toEqual(made.body); // pressed twice
    const known = (await play(master, "Find", order)).body.data;
    expect(known).toMatchObject([{ id: made.body.id, state: "active" }]);
    const of = { ...order, id: made.body.id };

    const paused = await play(master, "SuspendAccount", { ...of, reason: "Overdue" });
    expect(paused.body).toMatchObject({ state: "disabled", public_message: "Overdue" });
    expect((await play(master, "UnsuspendAccount", of)).body.state).toBe("active");
    expect((await play(master, "SuspendAccount", { ...of, reason: null })).body.state).toBe("disabled");
    expect((await play(master, "UnsuspendAccount", of)).body.state).toBe("active");
    const changed = await play(master, "ChangePackage", { ...of, plan: "Business" });
    expect(changed.body).toMatchObject({ plan: "Business", monthly_limit: 5000 });
    const custom = await play(master, "ChangePackage", { ...of, plan: "Custom", monthly_limit: 42 });
    expect(custom.body).toMatchObject({ plan: "Custom", monthly_limit: 42 });
    const signOn = { ...of, reason: "Single sign-on of WHMCS" };
    expect((await play(master, "ServiceSingleSignOn", signOn)).body.url).toMatch(
      /^https:\/\/relay\.example\/login-as\//,
    );
    expect((await play(master, "TerminateAccount", of)).body.state).toBe("closed");
    expect((await play(master, "ServiceSingleSignOn", signOn)).status).toBe(409); // not to a closed one
    expect((await play(master, "Reopen", of)).body.state).toBe("active");
  });

  test("usage of all services, page by page", async () => {
    const master = await reseller();
    for (const serviceid of [1, 2, 3]) await play(master, "CreateAccount", { ...order, serviceid });
    const seen = [];
    let pages = 0;
    for (let more = ""; ; pages++) {
      const { body } = await door.call(
        "GET",
        (fill(calls.UsageUpdate!.path, { more }) as string).replace("limit=100", "limit=2"),
        { key: master.key },
      );
      seen.push(...body.data);
      if (body.next_cursor === null) break;
      more = `&cursor=${encodeURIComponent(body.next_cursor)}`;
    }
    expect(pages).toBe(1);
    expect(seen.map((account) => account.external_id).sort()).toEqual(["whmcs-1", "whmcs-2", "whmcs-3"]);
    expect(seen[0].usage).toMatchObject({ used: 0, limit: 1000 });
  });

  test("another reseller's service of the same number stays out of reach", async () => {
    const [ours, theirs] = [await reseller(), await reseller()];
    const { body } = await play(theirs, "CreateAccount", order);
    expect((await play(ours, "Find", order)).body.data).toEqual([]);
    expect((await play(ours, "TerminateAccount", { id: body.id })).status).toBe(404);
  });
});

const php = spawnSync("php", ["-m"], { encoding: "utf8" }).stdout?.includes("curl") === true;

describe.skipIf(!php)("the module", () => {
  const at = { api: null as unknown as Awaited<ReturnType<typeof startApi>>, script: "" };
  beforeAll(async () => {
    at.api = await startApi(door.deps);
    const place = await mkdtemp(join(tmpdir(), "postmeter-whmcs-"));
    at.script = join(place, "whmcs.php");
    await writeFile(at.script, harness);
    return async () => {
      await at.api[Symbol.asyncDispose]();
      await rm(place, { recursive: true });
    };
  });

  async function run(master: Tenant, name: string, told: Values = {}) {
    const params = {
      serverhostname: "127.0.0.1",
      serverport: at.api.port,
      serversecure: "",
      serverid: 1,
      serveraccesshash: master.key,
      serviceid: 17,
      domain: "",
      configoption1: "Starter",
      configoption2: "",
      suspendreason: "Overdue",
      clientsdetails: { id: 4, companyname: "", fullname: "Ada Baker", email: "ada@bakery.example" },
      ...told,
    };
    const child = spawn("php", [at.script, join(folder, "postmeter.php"), name]);
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stdin.end(JSON.stringify(params));
    await new Promise((resolve) => child.on("close", resolve));
    return JSON.parse(Buffer.concat(chunks).toString());
  }

  test("does what its buttons say, and says what is wrong", async () => {
    const master = await reseller();
    expect((await run(master, "TestConnection")).answer).toEqual({ success: true, error: "" });
    const made = await run(master, "CreateAccount");
    expect(made).toMatchObject({
      answer: "success",
      saved: { Username: expect.any(String), Password: expect.any(String) },
    });
    expect((await run(master, "CreateAccount")).answer).toMatch(/has an account already: sub_\w+, which is active/);
    expect((await run(master, "SuspendAccount")).answer).toBe("success");
    expect((await run(master, "UnsuspendAccount")).answer).toBe("success");
    expect((await run(master, "ChangePackage", { configoption1: "Custom", configoption2: "42" })).answer).toBe(
      "success",
    );
    expect((await run(master, "ChangePackage", { configoption1: "Nothing" })).answer).toMatch(/plan/);
    expect((await run(master, "UsageUpdate")).updated).toMatchObject([{ id: "17", bwusage: 0, bwlimit: 42 }]);
    const points = await run(master, "ChangePackage", { configoption1: "Custom", configoption2: "10.000" });
    expect(points.answer).toMatch(/\/monthly_limit/);
    const signOn = await run(master, "ServiceSingleSignOn");
    // The log of WHMCS has the calls, and no secret.
    expect(made.logged).toMatch(/"password":"\*\*\*"/);
    expect(made.logged + signOn.logged).not.toContain(made.saved.Password);
    expect(signOn.logged).toMatch(/"url":"\*\*\*"/);
    expect(made.logged).toMatch(/"log_in_url":"\*\*\*"/);
    expect(signOn.answer).toMatchObject({ success: true, redirectTo: expect.stringMatching(/^https:/) });
    expect((await run(master, "TerminateAccount")).answer).toBe("success");
    expect((await run(master, "ServiceSingleSignOn")).answer).toMatchObject({
      success: false,
      errorMsg: expect.stringMatching(/closed/),
    });
    expect((await run(master, "CreateAccount")).answer).toBe("success"); // ordered again
    expect((await run(master, "SuspendAccount", { serviceid: 18 })).answer).toMatch(/knows no account/);
    const wrongKey = await run({ ...master, key: "pm_wrong" }, "TestConnection");
    expect(wrongKey.answer).toMatchObject({ success: false, error: expect.stringMatching(/key/i) });
  });
});

/** As much of WHMCS as the module touches. */
const harness = String.raw`<?php
namespace Illuminate\Database\Capsule {
    class Manager {
        public static $updated = [];
        private $of = [];
        public static function table($name) { return new self(); }
        public function where($column, $value) { $this->of[$column] = $value; return $this; }
        public function update($row) { self::$updated[] = $this->of + $row; }
    }
}
namespace {
    define('WHMCS', true);
    $logged = '';
    function logModuleCall($module, $action, $request, $response, $processed, $secrets) {
        $GLOBALS['logged'] .= str_replace($secrets, '***', $request . $response);
    }
    class Properties { public $saved = []; public function save($values) { $this->saved = $values; } }
    require $argv[1];
    $params = json_decode(stream_get_contents(STDIN), true);
    $properties = new Properties();
    $params['model'] = (object) ['serviceProperties' => $properties, 'created_at' => new DateTime('@1790000000')];
    $answer = ('postmeter_' . $argv[2])($params);
    echo json_encode(['answer' => $answer, 'saved' => $properties->saved, 'updated' => Illuminate\Database\Capsule\Manager::$updated, 'logged' => $logged]);
}
`;
