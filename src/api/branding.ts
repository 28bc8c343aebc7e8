/** Brands: the caller's own, or a subaccount's. Each is there from the start, empty. */
import { z } from "@hono/zod-openapi";
import type { SubaccountRef } from "../accounts/find.ts";
import type { Principal } from "../accounts/principal.ts";
import { changeBrand } from "../branding/change.ts";
import { removeCertificate, setCertificate } from "../branding/change-certificate.ts";
import { brandFields } from "../branding/fields.ts";
import { findBrand, type Owner } from "../branding/find.ts";
import type { Db } from "../platform/database.ts";
import { brandChange, brandShape, newCertificate, showBrand } from "./brand-shape.ts";
import type { Deps } from "./deps.ts";
import { detailsOf } from "./details.ts";
import { type Answer, type Endpoint, endpoint, everyone, owners } from "./endpoint.ts";
import { versionFor } from "./etag.ts";
import { idParams } from "./fields.ts";

const tag = "Branding";

/** The same twice: of the caller's own account (a master's, or the subaccount it acts for), and of a subaccount by its id. */
const places = [
  {
    path: "/v1/branding",
    params: z.object({}) as unknown as ReturnType<typeof idParams<"sub">>,
    of: "the caller's own account",
    who: ["master", "subaccount"],
    changing: ["master", "subaccount"], // a master that acts for one; a subaccount itself is refused by the rule
  },
  {
    path: "/v1/subaccounts/{id}/branding",
    params: idParams("sub"),
    of: "a subaccount",
    who: everyone,
    changing: owners,
  },
] as const;
type Place = (typeof places)[number];

const inheritance =
  "Members that are null are inherited: a subaccount's from its master, a master's from the relay. `effective` shows what results.";

export function brandingEndpoints(deps: Deps): Endpoint[] {
  return places.flatMap((place) => [
    show(deps, place),
    change(deps, place),
    certify(deps, place),
    uncertify(deps, place),
  ]);
}

type Shown = Answer<typeof brandShape>;

async function shown({ clock, config }: Deps, db: Db, principal: Principal, ref: SubaccountRef | undefined) {
  const brand = await findBrand(db, principal, ref, clock, config.systemFrom);
  return { body: showBrand(brand), version: brand.version };
}

/** The brand as it is now; this process forgets the hosts, and what it knew of the account. */
async function changed(
  deps: Deps,
  db: Db,
  principal: Principal,
  ref: SubaccountRef | undefined,
  { masterId, hosts }: Owner & Readonly<{ hosts: readonly (string | null)[] }>,
): Promise<Shown> {
  const names = hosts.flatMap((name) => (name === null ? [] : [{ kind: "host", name } as const]));
  return { ...(await shown(deps, db, principal, ref)), changed: [...names, { kind: "master", id: masterId }] };
}

function show(deps: Deps, { path, params, of, who }: Place): Endpoint {
  return endpoint(
    {
      method: "get",
      path,
      tag,
      summary: `The brand of ${of}`,
      description: inheritance,
      access: { who, scopes: ["read"] },
      params,
      status: 200,
      answer: brandShape,
    },
    ({ db, principal, params: { id } }) => shown(deps, db, principal, id),
  );
}

function change(deps: Deps, { path, params, of, changing }: Place): Endpoint {
  return endpoint(
    {
      method: "patch",
      path,
      tag,
      summary: `Change the brand of ${of}`,
      description: `A JSON merge patch. ${inheritance} A subaccount may not change its own.`,
      access: { who: changing, scopes: [] },
      params,
      body: brandChange,
      status: 200,
      answer: brandShape,
    },
    async ({ db, principal, params: { id }, body, ifMatch }) => {
      const version = await versionFor(ifMatch, () => shown(deps, db, principal, id));
      const done = await changeBrand(db, principal, id, detailsOf(brandFields, body), { version }, deps.clock);
      return changed(deps, db, principal, id, done);
    },
  );
}

function certify(deps: Deps, { path, params, of, changing }: Place): Endpoint {
  return endpoint(
    {
      method: "put",
      path: `${path}/certificate`,
      tag,
      summary: `The certificate for the host of ${of}`,
      description: "For SMTP: served to clients that ask for the host by SNI. It replaces the one before at once.",
      access: { who: changing, scopes: [] },
      params,
      body: newCertificate,
      status: 200,
      answer: brandShape,
    },
    async ({ db, principal, params: { id }, body, ifMatch }) => {
      const version = await versionFor(ifMatch, () => shown(deps, db, principal, id));
      const given = { certificate: body.certificate, privateKey: body.private_key };
      const done = await setCertificate(db, principal, id, given, { version, keyring: deps.keyring }, deps.clock);
      return changed(deps, db, principal, id, { ...done, hosts: [done.host] });
    },
  );
}

function uncertify(deps: Deps, { path, params, of, changing }: Place): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: `${path}/certificate`,
      tag,
      summary: `Remove the certificate for the host of ${of}`,
      access: { who: changing, scopes: [] },
      params,
      status: 200,
      answer: brandShape,
    },
    async ({ db, principal, params: { id }, ifMatch }) => {
      const version = await versionFor(ifMatch, () => shown(deps, db, principal, id));
      const done = await removeCertificate(db, principal, id, { version }, deps.clock);
      return changed(deps, db, principal, id, { ...done, hosts: [done.host] });
    },
  );
}
