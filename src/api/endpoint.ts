/**
 * What a route is: who may call it, what it takes, what it answers. One definition validates requests, generates
 * /openapi.json, and tells the tests every route there is.
 */
import type { z } from "@hono/zod-openapi";
import type { Change } from "../accounts/changes.ts";
import type { Principal, Scope } from "../accounts/principal.ts";
import type { Db } from "../platform/database.ts";

export type Kind = Principal["kind"];
export type Method = "get" | "post" | "patch" | "put" | "delete";

/** `scopes`: a key with any of these may call it; `full` always may. `people`: only somebody who is logged in, whatever his role. */
export type Access<W extends Kind = Kind> = Readonly<{ who: readonly W[]; scopes: readonly Scope[]; people?: true }>;

export type Definition<
  W extends Kind = Kind,
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
  A extends z.ZodType = z.ZodType,
> = Readonly<{
  method: Method;
  path: `/v1/${string}`;
  tag: string;
  summary: string;
  description?: string;
  access: Access<W>;
  params?: P;
  query?: Q;
  body?: B;
  /** With `body`: may it be left out? */
  bodyOptional?: boolean;
  /** Instead of a JSON body: a file of that type, read as it comes. */
  upload?: string;
  /** 204 has no answer; 202: it is done later. */
  status: 200 | 201 | 202 | 204;
  /** Where the same answer comes at once: a preview of what else is done later. */
  previewStatus?: 200;
  answer?: A;
  /** Other representations: content type and what it is. */
  also?: Readonly<Record<string, string>>;
  /** Takes Idempotency-Key. Its rule runs in one transaction with the kept answer, so it waits for nothing else. */
  idempotent?: true;
}>;

/** What a rule is called with. `db` is the transaction of a request with a key, else the database. */
export type Call<
  W extends Kind = Kind,
  P extends z.ZodType = z.ZodType,
  Q extends z.ZodType = z.ZodType,
  B extends z.ZodType = z.ZodType,
> = Readonly<{
  db: Db;
  principal: Extract<Principal, { kind: W }>;
  params: z.output<P>;
  query: z.output<Q>;
  body: z.output<B>;
  /** Of a definition with `upload`; else empty. */
  upload: AsyncIterable<Uint8Array>;
  ifMatch: string | undefined;
  accept: string;
  /** Path and filters of a list: what its cursors are bound to. */
  list: string;
}>;

/**
 * `chunks`: of a long one, made while it is sent; the client is cut off where that fails. `policy`: the Content-Security-Policy of a
 * page; without one a browser may do nothing with it.
 */
export type Content = Readonly<{ type: string; fileName?: string; policy?: string }> &
  (Readonly<{ bytes: Uint8Array }> | Readonly<{ chunks: AsyncIterable<string> }>);

export type Answer<A extends z.ZodType = z.ZodType> = Readonly<{
  body?: z.output<A>;
  /** Instead of the definition's: its `previewStatus`. */
  status?: 200;
  /** Another representation instead of `body`. */
  content?: Content;
  /** Of the row that was shown or changed: becomes the ETag. */
  version?: number;
  /** What changed: this process forgets what it knew of it, and the gate learns, after the commit and before the answer. */
  changed?: readonly Change[];
}>;

/** A definition with its rule, ready to be mounted. */
export type Endpoint = Readonly<{ definition: Definition; run(call: Call): Promise<Answer> }>;

export function endpoint<
  W extends Kind,
  P extends z.ZodType = z.ZodType<Record<string, never>>,
  Q extends z.ZodType = z.ZodType<Record<string, never>>,
  B extends z.ZodType = z.ZodType<undefined>,
  A extends z.ZodType = z.ZodType<undefined>,
>(definition: Definition<W, P, Q, B, A>, run: (call: Call<W, P, Q, B>) => Promise<Answer<A>>): Endpoint {
  return { definition, run } as unknown as Endpoint;
}

/** Everyone sees the own; the operator sees all. */
export const everyone = ["operator", "master", "subaccount"] as const satisfies readonly Kind[];
/** A master over its subaccounts; the operator in its place. */
export const owners = ["operator", "master"] as const satisfies readonly Kind[];
export const operatorOnly = ["operator"] as const satisfies readonly Kind[];
