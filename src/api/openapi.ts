/** /openapi.json (3.1), from the definitions that validate. */
import { createRoute, type OpenAPIHono, type RouteConfig, z } from "@hono/zod-openapi";
import type { Definition } from "./endpoint.ts";
import { idempotencyHeader } from "./idempotency.ts";
import type { Env } from "./mount.ts";

/** Of what is uploaded: a table of subaccounts, so far. */
const uploadExample = "external_id,name,monthly_limit\ncust-17,Blue Bakery,8000\ncust-18,Red Books,2000\n";

const mistake = z.strictObject({
  pointer: z.string().openapi({ description: "RFC 6901, into the body; `/limit` for a parameter of that name." }),
  detail: z.string(),
});

export const problemShape = z
  .strictObject({
    type: z.string().openapi({ example: "/problems/invalid" }),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    instance: z.string().openapi({ description: "Names this one occurrence; the program's log has it too." }),
    errors: z.array(mistake).optional(),
  })
  .openapi("Problem");

const problem = { "application/problem+json": { schema: problemShape } };

const refusals: Record<number, string> = {
  400: "The body is not JSON.",
  401: "No valid key.",
  403: "Not permitted within the own tenant, or the account is suspended.",
  404: "There is no such thing, or it is another tenant's.",
  409: "The state of things does not allow it.",
  412: "If-Match names another version.",
  413: "The body is too large.",
  415: "The body is of another content type.",
  422: "A member is wrong; `errors` points at each.",
  429: "Too many wrong keys from this network; wait for Retry-After.",
  503: "`unavailable`: nothing was changed, try again. `unconfirmed`: it may have been done; read before trying again.",
};

const actingFor = z.object({
  "Postmeter-Account": z.string().optional().openapi({
    description: "Acts for an account: `sub_...` or `ext:<external_id>`; the operator also `mas_...`.",
  }),
});
const matching = z.object({
  "If-Match": z.string().optional().openapi({ description: "The ETag that the change is based on." }),
});

/** The path as the registry takes it. */
export function describe(definition: Definition): RouteConfig {
  const { method, path, tag, summary, description, access, params, query, body, bodyOptional, upload } = definition;
  let headers = actingFor;
  if (definition.idempotent) headers = headers.extend(idempotencyHeader.shape) as typeof actingFor;
  if (takesIfMatch(definition)) headers = headers.extend(matching.shape) as unknown as typeof actingFor;
  return createRoute({
    method,
    path,
    tags: [tag],
    summary,
    operationId: operationId(definition),
    description: [description, `For: ${access.who.join(", ")}. Scopes: ${["full", ...access.scopes].join(", ")}.`]
      .filter(Boolean)
      .join("\n\n"),
    security: [{ key: [] }],
    request: {
      headers,
      ...(params ? { params: params as z.ZodObject } : {}),
      ...(query ? { query: query as z.ZodObject } : {}),
      ...(body ? { body: { required: !bodyOptional, content: { "application/json": { schema: body } } } } : {}),
      ...(upload
        ? {
            body: { required: true, content: { [upload]: { schema: z.string().openapi({ example: uploadExample }) } } },
          }
        : {}),
    },
    responses: responsesOf(definition),
  });
}

/** Changes of what has an ETag, but for creations beside it. */
function takesIfMatch({ method, path, status }: Definition): boolean {
  return (
    method === "patch" ||
    path.endsWith("/branding/certificate") ||
    (status === 200 && /^\/v1\/(?:masters|subaccounts)\/\{id\}\/\w+$/.test(path) && method === "post")
  );
}

function responsesOf(definition: Definition): RouteConfig["responses"] {
  const { status, previewStatus, answer, also, method, params, body, upload } = definition;
  const content = {
    ...(answer ? { "application/json": { schema: answer } } : {}),
    ...Object.fromEntries(Object.keys(also ?? {}).map((type) => [type, { schema: z.string() }])),
  };
  const codes = [
    ...[401, 403, 404, 422, 429, 503],
    ...(body ? [400, 413, 415] : []),
    ...(upload ? [413, 415] : []),
    ...(takesIfMatch(definition) ? [412] : []),
    ...(method !== "get" && (params || status === 202) ? [409] : []),
  ];
  return {
    ...(previewStatus === undefined ? {} : { [previewStatus]: { description: "The plan alone.", content } }),
    [status]: { description: status === 204 ? "Done." : "The answer.", ...(status === 204 ? {} : { content }) },
    ...Object.fromEntries(codes.map((code) => [code, { description: refusals[code] ?? "", content: problem }])),
  };
}

/** `get /v1/subaccounts/{id}/usage` is `get_subaccounts_by_id_usage`. */
export function operationId({ method, path }: Pick<Definition, "method" | "path">): string {
  const words = path
    .slice("/v1/".length)
    .split("/")
    .map((part) => part.replace(/^\{(.*)\}$/, "by_$1"));
  return [method, ...words].join("_");
}

export function openApiDocument(app: OpenAPIHono<Env>, version: string): object {
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: {
      title: "Postmeter",
      version,
      description: "An SMTP relay for resellers. Ids are TypeIDs, times are UTC, lists page by `cursor`.",
    },
    servers: [{ url: "/" }],
  });
}

export function registerSecurity(app: OpenAPIHono<Env>): void {
  app.openAPIRegistry.registerComponent("securitySchemes", "key", {
    type: "http",
    scheme: "bearer",
    description: "`pm_op_...` (operator), `pm_live_...` (master or subaccount), `pm_test_...` (sandbox).",
  });
}
