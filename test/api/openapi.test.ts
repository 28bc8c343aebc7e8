/** /openapi.json says what is there, and what it says can be relied on. */
import { describe, expect, test } from "vitest";
import { operationId } from "../../src/api/openapi.ts";
import { openDoor } from "./client.ts";

const door = await openDoor();
const { endpoints } = door.app;

type Json = Record<string, unknown>;
type Operation = Json & {
  operationId: string;
  parameters?: { name: string; in: string; required?: boolean; schema: Json }[];
  requestBody?: { required?: boolean; content: Record<string, { schema: Json }> };
  responses: Record<string, { description: string; content?: Record<string, { schema: Json }> }>;
  security: Json[];
};

const answer = await door.call("GET", "/openapi.json");
const document = answer.body as {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Json>; securitySchemes: Json };
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
);

const named = endpoints.map(({ definition }) => [`${definition.method} ${definition.path}`, definition] as const);

describe("the document", () => {
  test("is 3.1 and can be had by anyone", () => {
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toContain("application/json");
    expect(document.openapi).toMatch(/^3\.1\./);
  });

  test.each(named)("has %s, and nothing it has is missing in the program", (_, definition) => {
    const operation = document.paths[definition.path]?.[definition.method];
    expect(operation?.operationId).toBe(operationId(definition));
    expect(operations.length).toBe(endpoints.length);
  });

  test("every route that Hono knows under /v1 is in it", () => {
    const routes = door.app.app.routes.filter(({ path, method }) => path.startsWith("/v1/") && method !== "ALL");
    const known = new Set(operations.map(({ method, path }) => `${method.toUpperCase()} ${path}`));
    expect(routes.length).toBe(known.size);
    for (const { method, path } of routes) {
      expect(known).toContain(`${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    }
  });
});

describe("checked by the rules of OpenAPI 3.1", () => {
  test("operation ids are there and unique", () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[a-z0-9_]+$/);
  });

  test("each path's parameters are declared, required, and in the path", () => {
    for (const { path, operation } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === "path");
      expect(declared.map(({ name }) => name).sort(), path).toEqual(inPath);
      for (const parameter of declared) expect(parameter.required, path).toBe(true);
      const all = (operation.parameters ?? []).map((parameter) => `${parameter.in} ${parameter.name}`);
      expect(new Set(all).size, path).toBe(all.length);
    }
  });

  test("each operation has an answer, a description for each, and problems as problems", () => {
    for (const { method, path, operation } of operations) {
      const codes = Object.keys(operation.responses);
      const good = codes.filter((code) => /^2\d\d$/.test(code)).join();
      expect(["200", "201", "202", "204", "200,202"], `${method} ${path}`).toContain(good);
      expect(codes, `${method} ${path}`).toContain("401");
      for (const [code, response] of Object.entries(operation.responses)) {
        expect(response.description, `${method} ${path} ${code}`).not.toBe("");
        if (code.startsWith("2")) continue;
        const problem = response.content?.["application/problem+json"]?.schema;
        expect(problem).toEqual({ $ref: "#/components/schemas/Problem" });
      }
    }
  });

  test("every operation needs the key that is described", () => {
    expect(document.components.securitySchemes).toHaveProperty("key.scheme", "bearer");
    for (const { operation } of operations) expect(operation.security).toEqual([{ key: [] }]);
  });

  test("every reference leads somewhere, and every schema is one of JSON Schema 2020-12", () => {
    let schemas = 0;
    walk(document as unknown as Json, (node, where) => {
      if (typeof node.$ref === "string") {
        expect(resolve(node.$ref), `${where}: ${node.$ref}`).toBeDefined();
      }
      if (/\/schema$|\/schemas\/\w+$/.test(where)) {
        schemas += 1;
        checkSchema(node, where);
      }
    });
    expect(schemas).toBeGreaterThan(100);
  });

  test("each operation has a summary, and each body an example that the endpoint takes", () => {
    const cutShort = "/branding/certificate"; // whole ones would end one day
    for (const { definition } of endpoints) expect(definition.summary, definition.path).not.toBe("");
    const wrong = endpoints.flatMap(({ definition: { method, path, body } }) => {
      const [content] = Object.values(document.paths[path]?.[method]?.requestBody?.content ?? {});
      if (content === undefined) return [];
      const { $ref } = content.schema;
      const { example } = (typeof $ref === "string" ? resolve($ref) : content.schema) as Json;
      const taken = body === undefined || path.endsWith(cutShort) || body.safeParse(example).success;
      return example !== undefined && taken ? [] : [`${method} ${path}`];
    });
    expect(wrong).toEqual([]);
  });

  test("bodies take no unknown members, and no schema allows everything by mistake", () => {
    for (const { method, path, operation } of operations) {
      const schema = operation.requestBody?.content["application/json"]?.schema;
      if (schema === undefined || path === "/v1/account") continue;
      const target = typeof schema.$ref === "string" ? (resolve(schema.$ref) as Json) : schema;
      expect(target.additionalProperties, `${method} ${path}`).toBe(false);
    }
  });
});

const types = ["string", "number", "integer", "boolean", "array", "object", "null"];

/** The part of the meta-schema that our schemas use. */
function checkSchema(schema: Json, where: string): void {
  for (const key of Object.keys(schema)) expect(keywords, `${where}: ${key}`).toContain(key);
  for (const type of [schema.type ?? []].flat()) expect(types, where).toContain(type);
  for (const pattern of [schema.pattern ?? []].flat())
    expect(() => new RegExp(pattern as string, "u"), where).not.toThrow();
  if (schema.required !== undefined) {
    const properties = Object.keys((schema.properties ?? {}) as Json);
    for (const name of schema.required as string[]) expect(properties, where).toContain(name);
  }
  for (const [name, property] of Object.entries((schema.properties ?? {}) as Record<string, Json>)) {
    expect(name, where).toMatch(/^[a-z][a-z0-9_]*$/);
    checkSchema(property, `${where}.${name}`);
  }
  for (const part of [schema.anyOf ?? [], schema.oneOf ?? [], schema.allOf ?? [], schema.items ?? []].flat()) {
    checkSchema(part as Json, `${where}[]`);
  }
}

const keywords = [
  ...["$ref", "type", "enum", "const", "properties", "required", "additionalProperties", "propertyNames", "items"],
  ...[
    "anyOf",
    "oneOf",
    "allOf",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "minLength",
    "maxLength",
    "pattern",
    "format",
  ],
  ...["minItems", "maxItems", "description", "example", "examples", "default", "title"],
];

function resolve(reference: string): unknown {
  const steps = reference.replace(/^#\//, "").split("/");
  return steps.reduce<unknown>((node, step) => (node as Json | undefined)?.[step], document);
}

function walk(node: Json, visit: (node: Json, where: string) => void, where = "#"): void {
  visit(node, where);
  for (const [key, value] of Object.entries(node)) {
    if (typeof value === "object" && value !== null) walk(value as Json, visit, `${where}/${key}`);
  }
}
