/**
 * Templates: what a master gives its new subaccounts without saying it each time.
 *
 * Invariant: a template holds settings alone, never a secret, a key, a person or an id of one account. Making a subaccount from
 * it copies them; what becomes of the template later changes no account.
 */
import type { Selectable } from "kysely";
import { record } from "../audit/record.ts";
import type { Clock } from "../platform/clock.ts";
import type { Db } from "../platform/database.ts";
import { Fault, invalid, notFound } from "../platform/errors.ts";
import { formatId, type MasterId, newId, type SubaccountId, type TemplateId } from "../platform/ids.ts";
import type { Schema } from "../platform/schema.ts";
import { inTransaction } from "../platform/transaction.ts";
import type { Subaccount } from "./account.ts";
import { checkFields, type Fields, line, membersOf } from "./fields.ts";
import { findMaster, findSubaccount } from "./find.ts";
import { requireMasterChange } from "./permit.ts";
import { type Principal, reachOf } from "./principal.ts";
import { mergeRateLimits } from "./rate-limits.ts";
import { type SubaccountDetails, subaccountFields } from "./subaccount-fields.ts";
import { requireVersion } from "./version.ts";

const { monthlyLimit, plan, features, alertThresholds, language, timeZone, region, billingProfile } = subaccountFields;
const { rateLimits, reserve, dailyCapRamp, enforce2fa } = subaccountFields;

/** The members that a template may hold. */
export const templateFields = {
  ...{ monthlyLimit, plan, features, rateLimits, reserve, dailyCapRamp },
  ...{ alertThresholds, language, timeZone, region, billingProfile, enforce2fa },
} satisfies Partial<Record<keyof SubaccountDetails, Fields[string]>>;

export type TemplateSettings = Pick<SubaccountDetails, keyof typeof templateFields>;

export type Template = Readonly<{
  id: TemplateId;
  masterId: MasterId;
  name: string;
  /** By their names at the doors. */
  settings: Readonly<Record<string, unknown>>;
  createdAt: Date;
  updatedAt: Date;
  version: number;
}>;

export type NewTemplate = Readonly<{
  name: string;
  settings?: TemplateSettings | undefined;
  /** Its settings, under those that are given. */
  fromSubaccount?: SubaccountId | undefined;
  /** The operator's choice. */
  masterId?: MasterId | undefined;
}>;

/** @throws Fault forbidden, invalid, not-found, conflict when the name is taken */
export async function createTemplate(
  db: Db,
  principal: Principal,
  input: NewTemplate,
  clock: Clock,
): Promise<Template> {
  requireMasterChange(principal);
  check(input.name, input.settings);
  return inTransaction(db, async (trx) => {
    const source = input.fromSubaccount && (await findSubaccount(trx, principal, input.fromSubaccount, clock));
    const master = await findMaster(trx, principal, source?.masterId ?? input.masterId, clock, "keep");
    const copied = source === undefined ? {} : settingsLike(source);
    const settings = { ...copied, ...asMembers(input.settings ?? {}) };
    const now = clock.now();
    const row = await trx
      .insertInto("template")
      .values({
        id: newId<TemplateId>(clock),
        master_id: master.id,
        name: input.name,
        settings: JSON.stringify(settings),
        created_at: now,
        updated_at: now,
      })
      .onConflict((conflict) => conflict.doNothing())
      .returningAll()
      .executeTakeFirst();
    if (row === undefined) throw taken();
    const template = templateOf(row);
    await note(trx, principal, "template.created", template, [null, shown(template)], clock);
    return template;
  });
}

/** @param patch `settings` replaces them all. @throws Fault not-found, forbidden, invalid, conflict, precondition */
export async function changeTemplate(
  db: Db,
  principal: Principal,
  id: TemplateId,
  patch: Readonly<{ name?: string | undefined; settings?: TemplateSettings | undefined }>,
  options: Readonly<{ version?: number | undefined }>,
  clock: Clock,
): Promise<Template> {
  requireMasterChange(principal);
  check(patch.name, patch.settings);
  return inTransaction(db, async (trx) => {
    const before = await lockTemplate(trx, principal, id);
    requireVersion(before, options.version);
    const { name = before.name, settings } = patch;
    if (name !== before.name) await requireFreeName(trx, before.masterId, name);
    const row = await trx
      .updateTable("template")
      .set((eb) => ({
        name,
        settings: JSON.stringify(settings === undefined ? before.settings : asMembers(settings)),
        updated_at: clock.now(),
        version: eb("version", "+", 1),
      }))
      .where("id", "=", id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const after = templateOf(row);
    await note(trx, principal, "template.changed", after, [shown(before), shown(after)], clock);
    return after;
  });
}

/** @throws Fault not-found, forbidden */
export async function deleteTemplate(db: Db, principal: Principal, id: TemplateId, clock: Clock): Promise<void> {
  requireMasterChange(principal);
  await inTransaction(db, async (trx) => {
    const template = await lockTemplate(trx, principal, id);
    await trx.deleteFrom("template").where("id", "=", id).execute();
    await note(trx, principal, "template.deleted", template, [shown(template), null], clock);
  });
}

/** @throws Fault not-found */
export async function findTemplate(db: Db, principal: Principal, id: TemplateId): Promise<Template> {
  const row = await select(db, principal).where("id", "=", id).executeTakeFirst();
  if (row === undefined) throw notFound("template");
  return templateOf(row);
}

export type TemplateFilter = Readonly<{
  after?: TemplateId | undefined;
  limit: number;
  masterId?: MasterId | undefined;
}>;

/** Oldest first; `limit + 1` rows, the last tells that there is more. */
export async function listTemplates(db: Db, principal: Principal, filter: TemplateFilter): Promise<Template[]> {
  let query = select(db, principal);
  if (filter.masterId !== undefined) query = query.where("master_id", "=", filter.masterId);
  if (filter.after !== undefined) query = query.where("id", ">", filter.after);
  const rows = await query
    .orderBy("id")
    .limit(filter.limit + 1)
    .execute();
  return rows.map(templateOf);
}

/** The members that a new subaccount gets, of the same master as the template. @throws Fault invalid at /template */
export async function settingsOf(db: Db, masterId: MasterId, id: TemplateId): Promise<TemplateSettings> {
  const query = db.selectFrom("template").select("settings").where("id", "=", id).where("master_id", "=", masterId);
  const row = await query.executeTakeFirst();
  if (row === undefined) throw invalid("/template", "There is no such template.");
  const named = Object.entries(templateFields).filter(([, { column }]) => column in row.settings);
  return Object.fromEntries(named.map(([name, { column }]) => [name, row.settings[column]]));
}

/** One without a ramp says nothing of ramps: its master's default is for new accounts. */
function settingsLike(source: Subaccount): Record<string, unknown> {
  const { daily_cap_ramp: caps, ...members } = membersOf(templateFields, source);
  return caps === null ? members : { ...members, daily_cap_ramp: caps };
}

function select(db: Db, principal: Principal) {
  const { masterId, subaccountId } = reachOf(principal);
  if (subaccountId !== null) throw notFound("template");
  const query = db.selectFrom("template").selectAll();
  return masterId === null ? query : query.where("master_id", "=", masterId);
}

async function lockTemplate(trx: Db, principal: Principal, id: TemplateId): Promise<Template> {
  const row = await select(trx, principal).where("id", "=", id).forUpdate().executeTakeFirst();
  if (row === undefined) throw notFound("template");
  return templateOf(row);
}

function check(name: string | undefined, settings: TemplateSettings | undefined): void {
  const wrong = name === undefined ? undefined : line(100)(name);
  if (wrong !== undefined) throw invalid("/name", wrong);
  try {
    checkFields(templateFields, settings ?? {});
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const within = error.details.map(({ pointer, detail }) => ({ pointer: `/settings${pointer}`, detail }));
    throw new Fault(error.kind, error.message, within);
  }
}

async function requireFreeName(trx: Db, masterId: MasterId, name: string): Promise<void> {
  const query = trx.selectFrom("template").select("id").where("master_id", "=", masterId).where("name", "=", name);
  if ((await query.executeTakeFirst()) !== undefined) throw taken();
}

function taken(): Fault {
  const detail = "Another template has this name.";
  return new Fault("conflict", detail, [{ pointer: "/name", detail }]);
}

function asMembers(settings: TemplateSettings): Record<string, unknown> {
  const { rateLimits: spans } = settings;
  const values = spans === undefined ? settings : { ...settings, rateLimits: mergeRateLimits(null, spans) };
  const given = Object.entries(templateFields).filter(([name]) => values[name as keyof TemplateSettings] !== undefined);
  return Object.fromEntries(given.map(([name, { column }]) => [column, values[name as keyof TemplateSettings]]));
}

function templateOf(row: Selectable<Schema["template"]>): Template {
  const { id, master_id: masterId, name, settings, created_at: createdAt, updated_at: updatedAt, version } = row;
  return { id, masterId, name, settings, createdAt, updatedAt, version };
}

type Members = Record<string, unknown>;
const shown = ({ name, settings }: Template): Members => ({ name, settings });
type Change = readonly [before: Members | null, after: Members | null];

async function note(
  trx: Db,
  principal: Principal,
  action: string,
  template: Template,
  [before, after]: Change,
  clock: Clock,
): Promise<void> {
  const { id, masterId } = template;
  const target = formatId("tpl", id);
  await record(trx, { principal, action, target, before, after, masterId, subaccountId: null }, clock);
}
