import { createMetrics } from "../../src/platform/metrics.ts";
import { createGate } from "../../src/quota/create-gate.ts";
import { testDatabase } from "../support/database.ts";
import { silentLog } from "../support/log.ts";
import { testRedis } from "../support/redis.ts";
import { promises } from "./gate-contract.ts";

const { redis } = await testRedis();
const database = await testDatabase({ max: 20, lockTimeoutMs: 20_000 });
const deps = { metrics: createMetrics(), log: silentLog, clock: database.clock };

promises("the gate over Postgres", database, (pool) => createGate({ ...deps, database: { pool } }));
promises("the gate with Redis", database, (pool) => createGate({ ...deps, database: { pool }, redis }));
