/** A request to a page: who asks, from where, and what the form says. */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import { fromOwnPage, readCookie } from "../people/cookie.ts";
import { findSession, type Session } from "../people/sessions.ts";
import { originOf } from "../platform/client-address.ts";
import { Fault } from "../platform/errors.ts";
import { sameBytes } from "../platform/secrets.ts";
import type { PortalDeps } from "./deps.ts";

export type Env = {
  Variables: { instance: string; route?: string; caller?: string; account?: string | undefined };
};
export type Visit = Context<Env>;

type FormField =
  | "email"
  | "password"
  | "current_password"
  | "totp"
  | "proof"
  | "code"
  | "name"
  | "next"
  | "member_id"
  | "monthly_limit"
  | "limit"
  | "csrf";
export type Form = Readonly<Partial<Record<FormField, string>>>;

const MAX_FORM_BYTES = 64 * 1024;

export async function sessionOf(c: Visit, { db, keyring, clock }: PortalDeps): Promise<Session | undefined> {
  const token = readCookie(c.req.header("cookie"));
  return token === undefined ? undefined : findSession(db, token, keyring, clock);
}

export function clientOf(c: Visit, { trusted }: PortalDeps): { clientAddress: string; userAgent: string } {
  const { incoming } = (c.env ?? {}) as Partial<HttpBindings>;
  const remote = incoming?.socket.remoteAddress ?? "";
  const { address } = originOf(remote, c.req.header("x-forwarded-for"), false, trusted);
  return { clientAddress: address, userAgent: c.req.header("user-agent") ?? "" };
}

export const wantsJson = (c: Visit): boolean => /^application\/json\b/i.test(c.req.header("content-type") ?? "");

/** Members that are texts; others are left out. @throws Fault forbidden from another site, invalid when it can't be read */
export async function readForm(c: Visit): Promise<Form> {
  requireOwnPage(c);
  if (Number(c.req.header("content-length") ?? 0) > MAX_FORM_BYTES)
    throw new Fault("invalid", "The form is too large.");
  const given: unknown = wantsJson(c) ? await readJson(c) : await c.req.parseBody().catch(() => ({}));
  if (typeof given !== "object" || given === null) throw new Fault("invalid", "This needs a JSON object.");
  return Object.fromEntries(Object.entries(given).filter(([, value]) => typeof value === "string"));
}

async function readJson(c: Visit): Promise<unknown> {
  return c.req.json().catch(() => {
    throw new Fault("invalid", "The body is not JSON.");
  });
}

/** @throws Fault forbidden */
export function requireOwnPage(c: Visit): void {
  if (!fromOwnPage((name) => c.req.header(name))) {
    throw new Fault("forbidden", "This came from another site's page: open the page here and try again.");
  }
}

/** The form of a session carries its token. @throws Fault forbidden */
export function requireToken(form: Form, { csrf }: Session): void {
  if (!sameBytes(Buffer.from(form.csrf ?? ""), Buffer.from(csrf))) {
    throw new Fault("forbidden", "This page was open for too long: load it again.");
  }
}

/** Where to go on: a path of ours, whatever was asked for. */
export function pathOf(wanted: string | undefined): string {
  return wanted !== undefined && /^\/[\w-]+(?:\/[\w-]+)*$/.test(wanted) ? wanted : "/account";
}
