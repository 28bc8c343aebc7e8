/** People around a running program: browsers over its real HTTP door, and what they find in their mailboxes. */
import { expect } from "vitest";
import { type Browser, browse, type Shown } from "../portal/browser.ts";
import { type Answer, eventually, type Relay } from "../support/relay.ts";

export const PASSWORD = "green apples on a wall";

export function openBrowser({ ports }: Pick<Relay, "ports">): Browser {
  const origin = `http://127.0.0.1:${ports.http}`;
  return browse({
    origin,
    request: (path, init) => fetch(origin + path, { ...init, redirect: "manual" }),
    async api(method, path, { body, headers = {} }) {
      const type: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" };
      const init = { method, headers: { Origin: origin, ...type, ...headers } };
      const response = await fetch(origin + path, body === undefined ? init : { ...init, body: JSON.stringify(body) });
      const text = await response.text();
      const json = response.headers.get("content-type")?.includes("json") === true;
      return { status: response.status, headers: response.headers, text, body: json ? JSON.parse(text) : text };
    },
  });
}

/** A change by the session's cookie and the token that goes with it. */
export async function change(browser: Browser, method: string, path: string, body?: unknown): Promise<Answer> {
  const { csrf_token: token } = (await browser.api("GET", "/session")).body;
  return browser.api(method, path, { headers: { "X-CSRF-Token": token }, ...(body === undefined ? {} : { body }) });
}

export async function logIn(browser: Browser, email: string, password = PASSWORD): Promise<Shown> {
  return browser.submit(await browser.get("/login"), { email, password });
}

export type Letter = Readonly<{
  subject: string;
  text: string /** Of the first link to a page of ours. */;
  path: string;
}>;

/** The letter to an address whose subject says this, as soon as it lies in the captured mailbox. */
export async function letterTo(relay: Relay, to: string, subject: RegExp): Promise<Letter> {
  return eventually(async () => {
    const list = await relay.call("GET", `/v1/captured?limit=100&recipient=${encodeURIComponent(to)}`);
    expect(list.status, list.text).toBe(200);
    const found = list.body.data.find((mail: { subject: string | null }) => subject.test(mail.subject ?? ""));
    if (found === undefined) return undefined;
    const { body } = await relay.call("GET", `/v1/captured/${found.id}`);
    const path = /http:\/\/127\.0\.0\.1:\d+(\/\w[\w/-]*)/.exec(body.text)?.[1] ?? "";
    return { subject: body.subject, text: body.text, path };
  }, `a letter to ${to}: ${subject}`);
}

/** How many letters to an address say this. */
export async function lettersTo(relay: Relay, to: string, subject: RegExp): Promise<number> {
  const list = await relay.call("GET", `/v1/captured?limit=100&recipient=${encodeURIComponent(to)}`);
  return list.body.data.filter((mail: { subject: string | null }) => subject.test(mail.subject ?? "")).length;
}
