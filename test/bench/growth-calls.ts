/** Questions to the API, one after the other on a kept connection, as a reseller's panel asks them. */
import { Agent, request } from "node:http";
import type { Figure } from "./growth-figures.ts";
import { percentile } from "./statistics.ts";

export type Caller = Readonly<{
  /** ms of the whole answer, and its body. Throws on anything but 200. */
  get(path: string): Promise<Readonly<{ ms: number; body: string }>>;
}> &
  Disposable;

export function createCaller(url: string, key: string): Caller {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return {
    get: (path) =>
      new Promise((resolve, reject) => {
        const started = performance.now();
        const asked = request(url + path, { agent, headers: { authorization: `Bearer ${key}` } }, (answer) => {
          const parts: Buffer[] = [];
          answer.on("data", (part: Buffer) => parts.push(part));
          answer.on("end", () => {
            const body = Buffer.concat(parts).toString("utf8");
            if (answer.statusCode === 200) resolve({ ms: performance.now() - started, body });
            else reject(new Error(`${path} answered ${answer.statusCode}: ${body.slice(0, 300)}`));
          });
        });
        asked.on("error", reject).end();
      }),
    [Symbol.dispose]: () => agent.destroy(),
  };
}

/** The 99th percentile of `calls` answers beside a goal of 50 ms. `path` is given the number of the call. */
export async function p99Of(caller: Caller, what: string, calls: number, path: (n: number) => string): Promise<Figure> {
  for (let n = 0; n < 5; n++) await caller.get(path(n));
  const times: number[] = [];
  for (let n = 0; n < calls; n++) times.push((await caller.get(path(n))).ms);
  times.sort((a, b) => a - b);
  return {
    what: `p99 of ${what}`,
    seen: percentile(times, 99),
    unit: "ms",
    goal: { atMost: 50 },
    note: `p50 ${percentile(times, 50).toFixed(1)} ms`,
  };
}
