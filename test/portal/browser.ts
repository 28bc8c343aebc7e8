/** A browser of a kind over the whole HTTP door: keeps the cookie, follows redirects, fills in forms as they stand on the page. */
import { createPortal } from "../../src/portal/app.ts";
import { type Ask, type Door, openDoor } from "../api/client.ts";

export type Shown = Readonly<{ status: number; url: string; html: string; text: string; headers: Headers }>;

export type Browser = Readonly<{
  get(path: string): Promise<Shown>;
  /** The first form of the page (or the one with that action) with its hidden fields. */
  submit(page: Shown, fields: Record<string, string>, action?: string): Promise<Shown>;
  post(path: string, fields: Record<string, string>, headers?: Record<string, string>): Promise<Shown>;
  cookie(): string | undefined;
  setCookie(value: string | undefined): void;
  /** A call of the API with the session's cookie. */
  api(method: string, path: string, ask?: Ask): ReturnType<Door["call"]>;
}>;

export const HOST = "relay.example";

export async function openPortal(change: Parameters<typeof openDoor>[0] = {}): Promise<Door> {
  return openDoor({
    ...change,
    portalOf: (deps) => createPortal({ ...deps, lockout: deps.authenticator.lockout }),
  });
}

export function openBrowser(door: Door, address = "192.0.2.7"): Browser {
  const env = { incoming: { socket: { remoteAddress: address } } };
  const origin = `https://${HOST}`;
  return browse({
    origin,
    request: async (path, { headers, ...init }) =>
      door.app.app.request(origin + path, { ...init, headers: { Host: HOST, ...headers } }, env),
    api: (method, path, ask) => door.call(method, path, { ...ask, headers: { Host: HOST, ...ask.headers } }),
  });
}

/** The way to a program's HTTP door; its redirects are not followed. */
export type Way = Readonly<{
  origin: string;
  request(
    path: string,
    init: Readonly<{ method: string; headers: Record<string, string>; body?: string }>,
  ): Promise<Response>;
  api(method: string, path: string, ask: Ask): ReturnType<Door["call"]>;
}>;

export function browse({ origin, request, api }: Way): Browser {
  let cookie: string | undefined;
  let hidesOrigin = false;
  const send = async (method: string, path: string, body?: URLSearchParams, more: Record<string, string> = {}) => {
    const headers: Record<string, string> = { Accept: "text/html", ...more };
    if (cookie !== undefined) Object.assign(headers, { Cookie: cookie });
    if (body !== undefined) Object.assign(headers, { "Content-Type": "application/x-www-form-urlencoded" });
    const response = await request(path, { method, headers, ...(body === undefined ? {} : { body: body.toString() }) });
    const set = response.headers.get("set-cookie");
    // Fetch, "append a request Origin header": under this policy a form's is null, to its own host too.
    hidesOrigin = response.headers.get("referrer-policy") === "no-referrer";
    if (set !== null) cookie = /Max-Age=0/.test(set) ? undefined : set.split(";")[0];
    return response;
  };
  const show = async (path: string, response: Response): Promise<Shown> => {
    const location = response.headers.get("location");
    if (location !== null) return get(location);
    const html = await response.text();
    const text = html.replace(/<style.*?<\/style>|<[^>]*>/gs, " ").replace(/\s+/g, " ");
    return { status: response.status, url: path, html, text, headers: response.headers };
  };
  const get = async (path: string): Promise<Shown> => show(path, await send("GET", path));
  const post: Browser["post"] = async (path, fields, headers = {}) =>
    show(
      path,
      await send("POST", path, new URLSearchParams(fields), { Origin: hidesOrigin ? "null" : origin, ...headers }),
    );
  return {
    get,
    post,
    submit(page, fields, action) {
      const forms = [...page.html.matchAll(/<form[^>]*>.*?<\/form>/gs)].map(([form]) => form);
      const form = forms.find((one) => action === undefined || one.includes(`action="${action}"`));
      if (form === undefined) throw new Error(`no such form on ${page.url}: ${page.text}`);
      const hidden = [...form.matchAll(/<input type="hidden" name="(\w+)"[^>]*value="([^"]*)"/g)];
      const given = Object.fromEntries(hidden.map(([, name, value]) => [name, value]));
      return post(/action="([^"]*)"/.exec(form)?.[1] ?? page.url, { ...given, ...fields } as Record<string, string>);
    },
    cookie: () => cookie,
    setCookie: (value) => {
      cookie = value;
    },
    api: (method, path, ask = {}) => api(method, path, { ...ask, headers: { Cookie: cookie ?? "", ...ask.headers } }),
  };
}
