/** What may happen to Redis under load. Each ends with a Redis that works again. */
import { setTimeout as sleep } from "node:timers/promises";
import { scripts } from "../../src/quota/counters.ts";
import { type TestRedis, testRedis } from "../support/redis.ts";
import type { RedisLink } from "../support/redis-link.ts";
import { eventually } from "../support/relay.ts";

export type Stage = Readonly<{
  redis: TestRedis;
  /** The relay's way to it. */
  link: RedisLink;
  /** The tenant with a limit begins to send. */
  begin(): Promise<void>;
  /** So many messages are accepted of the tenant without a limit. */
  accepted(messages: number): Promise<void>;
  /** The tenant with a limit comes to it meanwhile, and the other one goes on. */
  toTheLimit(): Promise<void>;
  /** How often the breaker has opened. */
  opened(): number;
  closed(): Promise<void>;
}>;

/** `opens`: the breaker opens each time. */
type Outage = Readonly<{ opens: boolean; play(stage: Stage): Promise<void> }>;

export const outages = {
  "a storm of FLUSHALL": {
    opens: false,
    async play({ begin, redis, toTheLimit }) {
      await begin();
      let storming = true;
      const storm = (async () => {
        for (; storming; await sleep(2)) await redis.redis.flushall();
      })();
      await toTheLimit();
      storming = false;
      await storm;
    },
  },
  "a restart from an old image": {
    opens: true,
    async play({ begin, redis, accepted, toTheLimit, opened }) {
      await begin();
      await redis.redis.save();
      await accepted(40);
      const before = opened();
      await redis.server.stop("SIGKILL");
      await eventually(async () => opened() > before, "the relay misses Redis");
      await redis.server.start();
      await toTheLimit();
    },
  },
  "a hang": {
    opens: true,
    async play({ begin, redis, toTheLimit }) {
      await begin();
      redis.server.pause();
      await toTheLimit();
      redis.server.resume();
    },
  },
  "slow answers": {
    opens: true,
    async play({ begin, link, accepted, toTheLimit }) {
      await begin();
      link.delay(150);
      await accepted(20);
      link.delay(1500); // later than it is waited for
      await toTheLimit();
      link.delay(0);
    },
  },
  "answers cut off after the script has run": {
    opens: true,
    async play({ begin, link, opened, closed, accepted, toTheLimit }) {
      await begin();
      for (let cut = 1; cut <= 3; cut++) {
        const before = opened();
        link.loseAnswer(scripts.reserve.sha);
        await eventually(async () => opened() > before, "an answer is lost");
        await accepted(10);
        await closed();
      }
      await toTheLimit();
    },
  },
  "no memory left": {
    opens: true,
    async play({ begin, redis, toTheLimit }) {
      await begin();
      await redis.redis.config("SET", "maxmemory", "1");
      await toTheLimit();
      await redis.redis.config("SET", "maxmemory", "0");
    },
  },
  "replicas promoted without the last writes": {
    opens: true,
    async play(stage) {
      await using replica = await testRedis();
      await follow(replica, stage.redis);
      await stage.begin();
      await promote(stage, replica);
      await stage.toTheLimit();
      await follow(stage.redis, replica);
      await promote(stage, stage.redis);
    },
  },
} as const satisfies Record<string, Outage>;

export type OutageName = keyof typeof outages;

const portOf = ({ url }: TestRedis) => Number(new URL(url).port);

async function follow(replica: TestRedis, primary: TestRedis): Promise<void> {
  await primary.redis.config("SET", "repl-diskless-sync-delay", "0");
  await replica.redis.replicaof("127.0.0.1", portOf(primary));
  await eventually(async () => {
    return /^master_link_status:up/m.test(await replica.redis.info("replication"));
  }, "the replica follows");
}

async function promote({ link, accepted, opened, closed }: Stage, replica: TestRedis): Promise<void> {
  await replica.redis.replicaof("NO", "ONE");
  await accepted(30); // it hears no more of this
  const before = opened();
  link.lead(portOf(replica));
  await eventually(async () => opened() > before, "the relay misses its primary");
  await closed();
}
