/**
 * Puts an endpoint on its path: principal, permission, validation, idempotency, rule, answer, in this order.
 *
 * Invariant: nothing of the request is looked up before the principal is known, and nothing runs before all of it is
 * valid.
 */
import type { HttpBindings } from "@hono/node-server";
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import { actFor } from "../accounts/act-for.ts";
import type { Principal } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";
import { notFound } from "../platform/errors.ts";
import type { AccountId } from "../platform/ids.ts";
import { accountOf, permit } from "./access.ts";
import type { Deps } from "./deps.ts";
import type { Answer, Call, Definition, Endpoint } from "./endpoint.ts";
import { etagOf } from "./etag.ts";
import { hashRequest, once, type Rendered, readKey } from "./idempotency.ts";
import type { Doorkeeper } from "./identify.ts";
import { describe } from "./openapi.ts";
import { Problem, problemBody, problemOf } from "./problem.ts";
import { readJson, readUpload } from "./request-body.ts";
import { read } from "./validate.ts";

export type Variables = { instance: string; route?: string; caller?: string; account?: string | undefined };
export type Env = { Variables: Variables };

export function mount(app: OpenAPIHono<Env>, deps: Deps, doorkeeper: Doorkeeper, endpoint: Endpoint): void {
  const { definition } = endpoint;
  app.openAPIRegistry.registerPath(describe(definition));
  app.on(definition.method.toUpperCase(), definition.path.replaceAll(/\{(\w+)\}/g, ":$1"), async (c) => {
    c.set("route", definition.path);
    const caller = await doorkeeper.identify(c);
    const account = c.req.header("postmeter-account");
    const principal = account === undefined ? caller : await actFor(deps.db, caller, account, deps.clock);
    c.set("account", accountOf(principal));
    permit(principal, definition);
    const call = await readCall(c, definition, principal);
    const key = definition.idempotent ? readKey(c.req.header("idempotency-key")) : undefined;
    if (key === undefined) return respond(await runAlone(deps, endpoint, call), () => cutOff(c));
    return respondRendered(await runOnce(c, deps, endpoint, call, key));
  });
}

type Request = Omit<Call, "db">;
type Told = Omit<Answer, "status"> & Readonly<{ status: number }>;

const nothing: AsyncIterable<Uint8Array> = (async function* () {})();

async function readCall(c: Context<Env>, definition: Definition, principal: Principal): Promise<Request> {
  const params = readParams(definition, c.req.param());
  const query = readQuery(definition, c);
  const given = definition.body === undefined ? undefined : await readJson(c.req);
  if (definition.body !== undefined && given === undefined && !definition.bodyOptional) {
    throw new Problem("bad-json", "This needs a JSON body.");
  }
  const body = definition.body && read(definition.body, given === undefined ? {} : given);
  const upload = definition.upload === undefined ? nothing : readUpload(c.req, definition.upload);
  const { cursor: _, limit: __, ...filters } = c.req.query();
  return {
    principal,
    params,
    query,
    body,
    upload,
    ifMatch: c.req.header("if-match"),
    accept: c.req.header("accept") ?? "*/*",
    list: `${c.req.path}?${new URLSearchParams(Object.entries(filters).sort(([a], [b]) => (a < b ? -1 : 1)))}`,
  };
}

/** What is no id can't be the id of anything: 404, like an unknown one. */
function readParams(definition: Definition, given: Record<string, string>): unknown {
  const result = definition.params?.safeParse(given);
  if (result === undefined || result.success) return result?.data;
  throw notFound(definition.path.includes("{period}") ? "period" : "thing");
}

function readQuery(definition: Definition, c: Context<Env>): unknown {
  const given = c.req.queries();
  const twice = Object.entries(given).find(([, values]) => values.length > 1)?.[0];
  if (twice !== undefined) {
    throw new Problem("invalid", `${twice} is given twice.`, {
      mistakes: [{ pointer: `/${twice}`, detail: "This is given twice." }],
    });
  }
  return definition.query === undefined ? undefined : read(definition.query, c.req.query());
}

async function runAlone(deps: Deps, endpoint: Endpoint, request: Request): Promise<Told> {
  const answer = await endpoint.run({ ...request, db: deps.db });
  await tellChanges(deps, answer);
  return { ...answer, status: answer.status ?? endpoint.definition.status };
}

async function runOnce(
  c: Context<Env>,
  deps: Deps,
  endpoint: Endpoint,
  request: Request,
  key: string,
): Promise<Rendered> {
  const { principal } = request;
  const instance = c.get("instance");
  let answer: Answer = {};
  const rendered = await once({
    db: deps.db,
    keyring: deps.keyring,
    request: {
      principal: `${c.get("caller")} ${accountOf(principal) ?? ""}`,
      key,
      requestHash: hashRequest(c.req.method, c.req.url.slice(c.req.url.indexOf(c.req.path)), request.body),
    },
    run: async (trx: Db) => {
      answer = await endpoint.run({ ...request, db: trx });
      return render({ ...answer, status: answer.status ?? endpoint.definition.status });
    },
    refusal: (error) => {
      const problem = problemOf(error);
      const body = JSON.stringify(problemBody(problem, instance));
      return {
        status: problem.status,
        headers: { "Content-Type": "application/problem+json", ...problem.headers },
        body,
      };
    },
  });
  await tellChanges(deps, answer);
  return rendered;
}

/** The change is committed: a gate that can't be told now learns from the rows. */
async function tellChanges({ authenticator, publish, log }: Deps, { changed = [] }: Answer): Promise<void> {
  for (const change of changed) {
    authenticator.forget(change);
    if (change.kind !== "master" && change.kind !== "subaccount") continue;
    await publish(change.id as AccountId).catch((error: unknown) => {
      log.warn({ event: "api.publish_failed", error: error instanceof Error ? error.message : String(error) });
    });
  }
}

function render({ status, body, version }: Told): Rendered {
  const etag = version === undefined ? undefined : { ETag: etagOf(version) };
  if (status === 204) return { status, headers: { ...etag }, body: "" };
  return { status, headers: { "Content-Type": "application/json", ...etag }, body: JSON.stringify(body) };
}

function respond(answer: Told, cut: () => boolean): Response {
  const { content } = answer;
  if (content === undefined) return respondRendered(render(answer));
  const name =
    content.fileName === undefined
      ? undefined
      : { "Content-Disposition": `attachment; filename="${content.fileName}"` };
  const policy = content.policy === undefined ? undefined : { "Content-Security-Policy": content.policy };
  const headers = { "Content-Type": content.type, "Cache-Control": "no-store", ...name, ...policy };
  const body = "bytes" in content ? Buffer.from(content.bytes) : streamOf(content.chunks, cut);
  return new Response(body, { status: answer.status, headers });
}

/** Asks for the next chunk when the one before has been taken. */
function streamOf(chunks: AsyncIterable<string>, cut: () => boolean): ReadableStream {
  return ReadableStream.from(untilItFails(chunks, cut)).pipeThrough(new TextEncoderStream());
}

/** Whoever made them has logged why they end. The library would print the error, send its text, and end as if all were well. */
async function* untilItFails(chunks: AsyncIterable<string>, cut: () => boolean): AsyncGenerator<string> {
  try {
    yield* chunks;
  } catch (error) {
    if (!cut()) throw error;
  }
}

/** Ends the connection in the middle of the answer, so that nobody takes a part for the whole; false without a socket. */
function cutOff({ env }: Context<Env>): boolean {
  const { outgoing } = (env ?? {}) as Partial<HttpBindings>;
  outgoing?.destroy();
  return outgoing !== undefined;
}

function respondRendered({ status, headers, body }: Rendered): Response {
  return new Response(status === 204 ? null : body, { status, headers: { "Cache-Control": "no-store", ...headers } });
}
