/** Runs over many subaccounts, done here as their job does them. */
import { expect } from "vitest";
import { lettersOf } from "../../src/api/deps.ts";
import { type RunDeps, runSlice } from "../../src/bulk/run.ts";
import { parseId } from "../../src/platform/ids.ts";
import type { Answer, Door } from "./client.ts";

export function runs(door: Door, key: string) {
  const { call, deps, database } = door;
  const runDeps: RunDeps = { ...lettersOf(deps), log: deps.log, publish: async (id) => void door.published.push(id) };
  const idOf = (shown: string) => (parseId("imp", shown) ?? parseId("blk", shown))!;

  return {
    runDeps,
    idOf,
    upload: (body: string, query = "", by = key): Promise<Answer> =>
      call("POST", `/v1/subaccounts/import${query}`, { key: by, body, headers: { "Content-Type": "text/csv" } }),
    /** To its end. */
    async finish(shown: string, change: Partial<RunDeps> = {}): Promise<void> {
      while ((await runSlice(database.db, idOf(shown), { ...runDeps, ...change })) === "more");
    },
    async show(shown: string) {
      const path = shown.startsWith("imp_") ? "imports" : "bulk_changes";
      const answer = await call("GET", `/v1/${path}/${shown}`, { key });
      expect(answer.status, answer.text).toBe(200);
      return answer.body;
    },
    async rows(shown: string, query = "") {
      const path = shown.startsWith("imp_") ? "imports" : "bulk_changes";
      return (await call("GET", `/v1/${path}/${shown}/rows${query}`, { key })).body.data;
    },
  };
}
