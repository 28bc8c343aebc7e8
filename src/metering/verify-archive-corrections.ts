/**
 * Corrections where the charge, or a correction of it, is archived: each names a charge of its account, and all of one take back
 * nothing to all of it. Held in memory: corrections are rare.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import type { ArchiveRecord } from "./archive-records.ts";
import type { EntryText } from "./archive-row.ts";
import type { Findings } from "./difference.ts";
import { monthOfId } from "./months.ts";
import { tellEntry } from "./verify-entries.ts";

type Correction = Readonly<{ id: string; corrects: string; subaccountId: string; units: number }>;
type Charge = Readonly<{ subaccountId: string; units: number }>;

export type Corrections = Readonly<{
  /** Those of a file. */
  collect(pages: AsyncIterable<readonly EntryText[]>): Promise<void>;
  /** Those in the database, when the ones of all files are known. */
  collectLive(): Promise<void>;
  /** An entry of a file, which may be a charge that was corrected. */
  see(entry: EntryText): void;
  judge(findings: Findings): Promise<void>;
}>;

/** @param horizon corrections of what lies before this id are judged here */
export function createCorrections(
  db: Db,
  archive: Readonly<{ horizon: string; archived: readonly ArchiveRecord[]; proven: readonly ArchiveRecord[] }>,
): Corrections {
  const byCharge = new Map<string, Correction[]>();
  const charges = new Map<string, Charge>();
  const add = (correction: Correction) => {
    const { corrects } = correction;
    byCharge.set(corrects, [...(byCharge.get(corrects) ?? []), correction]);
  };
  return {
    async collect(pages) {
      for await (const page of pages) {
        for (const { id, corrects, kind, subaccount_id, units } of page) {
          if (kind === "correction" && corrects !== null && corrects < archive.horizon)
            add({ id, corrects, subaccountId: subaccount_id, units });
        }
      }
    },
    async collectLive() {
      const { rows } = await sql<Correction>`
        select id, corrects, subaccount_id as "subaccountId", units from usage_entry
         where kind = 'correction' and corrects < ${archive.horizon}::uuid`.execute(db);
      rows.forEach(add);
    },
    see({ id, kind, subaccount_id, units }) {
      if (kind === "accept" && byCharge.has(id)) charges.set(id, { subaccountId: subaccount_id, units });
    },
    async judge({ found }) {
      const files = new Set(archive.archived.map(({ month }) => month));
      const proven = new Set(archive.proven.map(({ month }) => month));
      const live = [...byCharge.keys()].filter((id) => !files.has(monthOfId(id)));
      for (const [id, charge] of await readCharges(db, live)) charges.set(id, charge);
      for (const [id, corrections] of byCharge) {
        const month = monthOfId(id);
        if (files.has(month) && !proven.has(month)) continue; // told already
        for (const [correction, problem] of problemsOf(charges.get(id), corrections))
          found({ check: "entries", ...tellEntry(correction, "correction", problem) });
      }
    },
  };
}

async function readCharges(db: Db, ids: readonly string[]): Promise<Map<string, Charge>> {
  if (ids.length === 0) return new Map();
  const { rows } = await sql<Charge & { id: string }>`
    select id, subaccount_id as "subaccountId", units from usage_entry where id = any(${ids}::uuid[]) and kind = 'accept'`.execute(
    db,
  );
  return new Map(rows.map(({ id, ...charge }) => [id, charge]));
}

function problemsOf(charge: Charge | undefined, corrections: readonly Correction[]): [id: string, problem: string][] {
  const strange = corrections.filter(({ subaccountId }) => subaccountId !== charge?.subaccountId);
  if (charge === undefined || strange.length > 0)
    return strange.map(({ id }) => [id, "corrects no charge of its account"]);
  const sum = corrections.reduce((units, correction) => units + correction.units, 0);
  if (sum <= 0 && sum >= -charge.units) return [];
  return corrections.map(({ id }) => [id, "takes back more than was charged"]);
}
