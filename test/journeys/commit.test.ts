/** A commit whose answer never comes: nobody is told 250 for nothing, nobody is charged for a 451, nothing is charged twice. */
import { expect, test } from "vitest";
import { type Cut, startCuttingProxy } from "../support/cutting-proxy.ts";
import { createDatabase } from "../support/database.ts";
import { mutateProgram } from "../support/mutant.ts";
import { createTenant } from "../support/relay.ts";
import { openScene } from "./scene.ts";

async function openCut(program?: string) {
  const direct = await createDatabase();
  const proxy = await startCuttingProxy(direct, "accept_batch");
  const scene = await openScene({ databaseUrl: direct, relayUrl: proxy.url, ...(program ? { program } : {}) });
  return { scene, proxy };
}

test("requests and answers of the accept call that are lost, or come late, leave the books right", async () => {
  const { scene, proxy } = await openCut();
  const tenant = await createTenant(scene.relay, { limit: null });
  const load = scene.load(tenant, { sessions: 8, units: (n) => 1 + (n % 2) });
  const cuts: Cut[] = ["answer", "request", "late", "late", "answer", "request"];
  for (const how of cuts) {
    await load.more(20, "accepted");
    await proxy.cutNext(how);
  }
  await load.more(40, "accepted");
  const seen = await load.stop();
  expect(await scene.check()).toMatchObject({ faults: [], inDoubt: 0 });
  // A lost answer is found to be a 250; a lost request is a 451.
  expect(new Set(seen.map((s) => s.knowledge))).toEqual(new Set(["accepted", "refused"]));
  const fenced = scene.relay.log.filter((line) => line.event === "accept.fenced");
  expect(fenced).toHaveLength(cuts.length);
});

test("control: a fence that only looks, and does not void, is found out by a late commit", async () => {
  const program = mutateProgram(
    "src/spool/fence.ts",
    { from: "order by id on conflict (id) do nothing", to: "where false order by id on conflict (id) do nothing" },
    {
      from: "select id, kind from usage_entry where id = any($1::uuid[])",
      to: "select i as id, coalesce((select kind from usage_entry where id = i), 'void') as kind from unnest($1::uuid[]) i",
    },
  );
  const { scene, proxy } = await openCut(program);
  const tenant = await createTenant(scene.relay, { limit: null });
  const load = scene.load(tenant, { sessions: 8 });
  await load.more(20, "accepted");
  await proxy.cutNext("late");
  await load.more(20, "accepted");
  await load.stop();
  await scene.letLeasesLapse("all");
  const { faults } = await scene.check();
  expect(faults).toContainEqual(expect.stringMatching(/^msg_\w+ is charged, but was refused: 451 4\.3\.0/));
});
