/** The accounts that the bench sends as, made and read through Postmeter's API like anybody's. */
import type { Login } from "./target.ts";

export type Api = Readonly<{ url: string; operatorKey: string }>;
export type Accounts = Readonly<{ masterKey: string; subaccounts: readonly string[]; logins: readonly Login[] }>;

export async function createAccounts(api: Api, count: number): Promise<Accounts> {
  const master = await call<{ api_key: { key: string } }>(api.url, "/masters", api.operatorKey, {
    name: "Bench",
    allowance: null,
    notification_emails: ["bench@bench.example"],
    sender_policy: "any",
  });
  const masterKey = master.api_key.key;
  const made: { id: string; credential: Login }[] = [];
  for (let n = 1; n <= count; n++) {
    const body = { name: `Bench ${n}`, monthly_limit: 1_000_000_000 };
    made.push(await call(api.url, "/subaccounts", masterKey, body));
  }
  const logins = made.map(({ credential }) => ({ username: credential.username, password: credential.password }));
  return { masterKey, subaccounts: made.map(({ id }) => id), logins };
}

/** What the API says was used: by the master, and by its subaccounts together. */
export async function readUsage(api: Api, { masterKey, subaccounts }: Accounts) {
  const master = await call<{ used: number }>(api.url, "/usage", masterKey);
  let sum = 0;
  for (const id of subaccounts) {
    sum += (await call<{ used: number }>(api.url, `/subaccounts/${id}/usage`, masterKey)).used;
  }
  return [
    { book: "usage of the master", accepted: master.used },
    { book: "usage of the subaccounts", accepted: sum },
  ];
}

async function call<Answer>(base: string, path: string, key: string, body?: object): Promise<Answer> {
  const response = await fetch(base + path, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${text.slice(0, 300)}`);
  return JSON.parse(text) as Answer;
}
