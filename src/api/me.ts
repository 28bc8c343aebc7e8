/** The person who is logged in: his own data, password, second factor and sessions. */
import { z } from "@hono/zod-openapi";
import type { Principal } from "../accounts/principal.ts";
import { changePassword, changePerson, type Person, readPerson } from "../people/own-person.ts";
import { type Place, placesOf, readPlace } from "../people/person.ts";
import { roles } from "../people/roles.ts";
import { confirmEnrolment, removeSecondFactor, startEnrolment, takeCode } from "../people/second-factor.ts";
import { endSession, listSessions } from "../people/sessions.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid, notFound } from "../platform/errors.ts";
import { formatAccount } from "../platform/ids.ts";
import { type Deps, lettersOf } from "./deps.ts";
import { type Endpoint, endpoint, everyone } from "./endpoint.ts";
import { idParams, instant, language, line, noMembers, showId, showInstant, shownId, timeZone } from "./fields.ts";

const tag = "Me";
const access = { who: everyone, scopes: [], people: true } as const;

const meShape = z
  .strictObject({
    email: z.string(),
    name: z.string().nullable(),
    language: z.string().nullable(),
    time_zone: z.string().nullable(),
    second_factor: z.boolean(),
    places: z.array(
      z.strictObject({
        member_id: shownId("mem"),
        account: z.string().nullable(),
        role: z.enum(roles),
        here: z.boolean(),
      }),
    ),
  })
  .openapi("Me");

const sessionShape = z
  .strictObject({
    id: shownId("ses"),
    network: z.string().nullable(),
    user_agent: z.string().nullable(),
    created_at: instant,
    seen_at: instant,
    expires_at: instant,
  })
  .openapi("Session");

/** @throws Fault forbidden for whoever acts for the account */
async function placeOf(db: Db, principal: Principal): Promise<Place> {
  const { memberId } = principal;
  const place = memberId === undefined ? undefined : await readPlace(db, memberId);
  if (place === undefined) throw notFound("member");
  const { subaccountId, masterId } =
    principal.kind === "operator" ? { subaccountId: null, masterId: null } : { subaccountId: null, ...principal };
  if (place.subaccountId === subaccountId && place.masterId === masterId) return place;
  throw new Fault("forbidden", "Whoever acts for an account does not change its people's log-in.");
}

export function meEndpoints(deps: Deps): Endpoint[] {
  return [show(deps), change(deps), password(deps), sessions(deps), endOne(deps), ...secondFactor(deps)];
}

async function showMe(db: Db, { personId, memberId }: Place, person?: Person): Promise<z.output<typeof meShape>> {
  const {
    email,
    name,
    language: tongue,
    timeZone: zone,
    secondFactor: factor,
  } = person ?? (await readPerson(db, personId));
  const places = (await placesOf(db, personId)).map((place) => ({
    member_id: showId("mem", place.memberId),
    account: place.masterId === null ? null : formatAccount({ ...place, masterId: place.masterId }),
    role: place.role,
    here: place.memberId === memberId,
  }));
  return { email, name, language: tongue, time_zone: zone, second_factor: factor, places };
}

function show(_: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/me",
      tag,
      summary: "Who is logged in, and his places",
      access,
      status: 200,
      answer: meShape,
    },
    async ({ db, principal }) => ({ body: await showMe(db, await placeOf(db, principal)) }),
  );
}

function change({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "patch",
      path: "/v1/me",
      tag,
      summary: "Change his own name, language and time zone",
      access,
      body: z
        .strictObject({
          name: line(200).nullable().optional(),
          language: language.nullable().optional(),
          time_zone: timeZone.nullable().optional(),
        })
        .openapi({ example: { name: "Ann", language: "de", time_zone: "Europe/Berlin" } }),
      status: 200,
      answer: meShape,
    },
    async ({ db, principal, body }) => {
      const place = await placeOf(db, principal);
      const { time_zone: zone, ...rest } = body;
      return {
        body: await showMe(db, place, await changePerson(db, place.personId, { ...rest, timeZone: zone }, clock)),
      };
    },
  );
}

function password(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "post",
      path: "/v1/me/password",
      tag,
      summary: "Change his own password: all sessions end",
      access,
      body: z
        .strictObject({ current_password: line(1000), password: line(1000) })
        .openapi({ example: { current_password: "...", password: "correct horse battery staple" } }),
      status: 204,
    },
    async ({ db, principal, body }) => {
      const { personId } = await placeOf(db, principal);
      const given = { current: body.current_password, next: body.password, session: undefined };
      await changePassword(db, personId, given, { ...lettersOf(deps), passwords: deps.passwords });
      return {};
    },
  );
}

function sessions({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/me/sessions",
      tag,
      summary: "Where he is logged in",
      access,
      status: 200,
      answer: z.strictObject({ data: z.array(sessionShape) }),
    },
    async ({ db, principal }) => {
      const rows = await listSessions(db, (await placeOf(db, principal)).personId, clock);
      const data = rows.map((row) => ({
        id: showId("ses", row.id),
        network: row.network,
        user_agent: row.user_agent,
        created_at: showInstant(row.created_at),
        seen_at: showInstant(row.seen_at),
        expires_at: showInstant(row.expires_at),
      }));
      return { body: { data } };
    },
  );
}

function endOne({ clock }: Deps): Endpoint {
  return endpoint(
    {
      method: "delete",
      path: "/v1/me/sessions/{id}",
      tag,
      summary: "Log out there",
      access,
      params: idParams("ses"),
      status: 204,
    },
    async ({ db, principal, params }) => {
      const rows = await listSessions(db, (await placeOf(db, principal)).personId, clock);
      if (!rows.some(({ id }) => id === params.id)) throw notFound("session");
      await endSession(db, params.id, clock);
      return {};
    },
  );
}

const code = z.strictObject({ code: line(50) }).openapi({ example: { code: "123456" } });

function secondFactor({ keyring, clock }: Deps): Endpoint[] {
  const path = "/v1/me/second_factor";
  return [
    endpoint(
      {
        method: "post",
        path,
        tag,
        summary: "Start to set up a second factor",
        access,
        body: noMembers,
        bodyOptional: true,
        status: 201,
        answer: z
          .strictObject({ secret: z.string(), uri: z.string(), qr_svg: z.string() })
          .openapi({ description: "For the authenticator; it counts once a code is confirmed." }),
      },
      async ({ db, principal }) => {
        const { personId, email } = await placeOf(db, principal);
        const { secret, uri, svg } = await startEnrolment(db, { id: personId, email }, "Postmeter", keyring);
        return { body: { secret, uri, qr_svg: svg } };
      },
    ),
    endpoint(
      {
        method: "post",
        path: `${path}/confirm`,
        tag,
        summary: "Confirm it with a first code: the answer has ten recovery codes, shown once",
        access,
        body: code,
        status: 200,
        answer: z.strictObject({ recovery_codes: z.array(z.string()) }),
      },
      async ({ db, principal, body }) => {
        const { personId } = await placeOf(db, principal);
        return { body: { recovery_codes: await confirmEnrolment(db, personId, body.code, keyring, clock) } };
      },
    ),
    endpoint(
      { method: "delete", path, tag, summary: "Remove it, with a code", access, body: code, status: 204 },
      async ({ db, principal, body }) => {
        const { personId } = await placeOf(db, principal);
        if (!(await takeCode(db, personId, body.code, keyring, clock)))
          throw invalid("/code", "This code is not right.");
        await removeSecondFactor(db, personId);
        return {};
      },
    ),
  ];
}
