/** Limits of a short time and the reserve through the whole program, two nodes of it: exact, with Redis and without. */
import { describe, expect, test } from "vitest";
import { parseId } from "../../src/platform/ids.ts";
import { createTenant, type Tenant } from "../support/relay.ts";
import { acceptedUnits, type Sent } from "../support/sessions.ts";
import { openScene, type Scene } from "./scene.ts";

const sound = { faults: [], inDoubt: 0, duplicates: 0 };
const rate = /^451 4\.7\.1 Rate limit reached, retry in ([1-9]\d*) seconds$/;
const refusals = (seen: readonly Sent[]) =>
  seen.filter(({ knowledge }) => knowledge !== "accepted").map((s) => s.reply);

describe.each([true, false])("Redis: %s", (withRedis) => {
  let opened: Promise<{ scene: Scene; ports: number[] }> | undefined;
  /** Two nodes on one database. */
  const stage = () => {
    opened ??= (async () => {
      const scene = await openScene({ withRedis });
      const second = await scene.startAgain();
      return { scene, ports: [scene.relay.ports.submission, second.ports.submission] };
    })();
    return opened;
  };

  const change = async (scene: Scene, { masterKey, subaccountId }: Tenant, body: object) => {
    const answer = await scene.relay.call("PATCH", `/v1/subaccounts/${subaccountId}`, body, { key: masterKey });
    expect(answer.status, answer.text).toBe(200);
  };

  test("sessions on two nodes get exactly what the hour holds; the rest is told when to come again, and is never charged", async () => {
    const { scene, ports } = await stage();
    const tenant = await createTenant(scene.relay, { limit: null });
    await change(scene, tenant, { rate_limits: { hour: 60 } });
    const race = scene.load(tenant, { ports: () => ports, sessions: 20, messages: 160 });
    if (withRedis) {
      await race.more(20, "accepted");
      await scene.redis!.redis.flushall();
    }
    await race.done;
    expect(acceptedUnits(race.seen)).toBe(60);
    for (const reply of refusals(race.seen)) expect(reply).toMatch(rate);
    expect(await scene.check()).toMatchObject(sound);
    const counted = async () => {
      const { rows } = await scene.database.pool.query(
        "select reason, sum(messages)::int as messages from refusal where subaccount_id = $1 group by 1",
        [parseId("sub", tenant.subaccountId)],
      );
      return rows;
    };
    await expect.poll(counted, { timeout: 20_000 }).toEqual([{ reason: "rate", messages: 100 }]);
  });

  test("a raised limit rules the next message on both nodes", async () => {
    const { scene, ports } = await stage();
    const tenant = await createTenant(scene.relay, { limit: null });
    await change(scene, tenant, { rate_limits: { day: 5 } });
    const before = scene.load(tenant, { ports: () => ports, sessions: 4, messages: 12 });
    await before.done;
    expect(acceptedUnits(before.seen)).toBe(5);
    await change(scene, tenant, { rate_limits: { day: 9 } });
    const after = scene.load(tenant, { ports: () => ports, sessions: 4, messages: 12 });
    await after.done;
    expect(acceptedUnits(after.seen)).toBe(4);
    expect(await scene.check()).toMatchObject(sound);
  });

  test("newsletters stop before the reserve, and a password reset still goes out", async () => {
    const { scene, ports } = await stage();
    const tenant = await createTenant(scene.relay, { limit: 50 });
    await change(scene, tenant, { reserve: 10 });
    const made = await scene.relay.call(
      "POST",
      `/v1/subaccounts/${tenant.subaccountId}/credentials`,
      { transactional: true },
      { key: tenant.masterKey },
    );
    const { username, password } = made.body;
    const resets = { subaccountId: tenant.subaccountId, username, password };
    const newsletter = scene.load(tenant, { ports: () => ports, sessions: 10, messages: 80 });
    await newsletter.done;
    expect(acceptedUnits(newsletter.seen)).toBe(40);
    for (const reply of refusals(newsletter.seen)) {
      expect(reply).toMatch(
        /^550 5\.4\.5 Monthly limit reached: 40 of 50 used, the rest is reserved .*\[QUOTA-SUBACCOUNT\]$/,
      );
    }
    const reset = scene.load(tenant, { ports: () => ports, senders: [resets], sessions: 4, messages: 20 });
    await reset.done;
    expect(acceptedUnits(reset.seen)).toBe(10);
    expect(await scene.check()).toMatchObject(sound);
  });
});
