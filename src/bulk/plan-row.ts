/**
 * What a row of a table makes of a subaccount. Pure, but for the rules it asks.
 *
 * Invariant: planned and done by the same reading, so that what the preview says is what the run does, unless the account has
 * changed meanwhile.
 */
import type { Subaccount } from "../accounts/account.ts";
import { checkFields } from "../accounts/fields.ts";
import { type SubaccountDetails, subaccountFields } from "../accounts/subaccount-fields.ts";
import { Fault } from "../platform/errors.ts";
import type { ItemError } from "../platform/schema.ts";
import { columnNames, columns } from "./columns.ts";

export type RowPlan = Readonly<{
  planned: "create" | "change" | "same" | "error";
  details: SubaccountDetails;
  onboarding: "handover" | "invite";
  /** Members at the door's names, only those that change. */
  before: Readonly<Record<string, unknown>> | null;
  after: Readonly<Record<string, unknown>> | null;
  errors: readonly ItemError[];
}>;

type Cells = Readonly<Record<string, string>>;

/** @param current undefined: there is none with that id */
export function planRow(cells: Cells, current: Subaccount | undefined): RowPlan {
  const { details, errors } = readCells(cells, current);
  const onboarding = cells.onboarding || "handover";
  if (onboarding !== "handover" && onboarding !== "invite") {
    errors.push({ column: "onboarding", detail: "This must be handover or invite." });
  }
  if (current === undefined) requireForNew(cells, errors);
  errors.push(...broken(details));
  const plan = { details, onboarding: onboarding === "invite" ? "invite" : "handover", errors } as const;
  const after = membersAt(details);
  if (errors.length > 0) return { ...plan, planned: "error", before: null, after: null };
  if (current === undefined) return { ...plan, planned: "create", before: null, after };
  if (Object.keys(after).length === 0) return { ...plan, planned: "same", before: null, after: null };
  const names = Object.keys(details) as (keyof SubaccountDetails)[];
  return { ...plan, planned: "change", before: membersAt(current, names), after };
}

function readCells(cells: Cells, current: Subaccount | undefined) {
  const details: Record<string, unknown> = {};
  const errors: ItemError[] = [];
  for (const name of columnNames) {
    const cell = cells[name];
    const column = columns[name];
    if (cell === undefined || cell === (current === undefined ? "" : column.text(current))) continue;
    const read = column.read(cell);
    if ("detail" in read) errors.push({ column: name, detail: read.detail });
    else details[column.member] = read.value;
  }
  return { details: details as SubaccountDetails, errors };
}

function requireForNew(cells: Cells, errors: ItemError[]): void {
  if (cells.id) errors.push({ column: "id", detail: "There is no such subaccount." });
  else if (!cells.external_id) {
    errors.push({ column: "external_id", detail: "Give an id or external_id, by which the row is known again." });
  }
  for (const name of ["name", "monthly_limit"] as const) {
    const missing = (cells[name] ?? "") === "";
    if (missing)
      errors.push({ column: name, detail: name === "name" ? "This is required." : "Give a number, or none." });
  }
}

function broken(details: SubaccountDetails): ItemError[] {
  try {
    checkFields(subaccountFields, details);
    return [];
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return errorsOf(error);
  }
}

/** What a rule said, by column. */
export function errorsOf({ message, details }: Fault): ItemError[] {
  if (details.length === 0) return [{ column: null, detail: message }];
  return details.map(({ pointer, detail }) => ({ column: pointer.slice(1) || null, detail }));
}

/** By their names at the doors. */
export function membersAt(
  from: SubaccountDetails | Subaccount,
  names = Object.keys(from) as (keyof SubaccountDetails)[],
): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [subaccountFields[name].column, from[name] ?? null]));
}
