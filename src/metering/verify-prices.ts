/**
 * Prices against what was chosen: what rules for each account now is what its card, plan or default comes to, and each row of the history
 * has the terms of the version that it names.
 *
 * One statement for each page, which sees one snapshot: a choice and the terms that follow from it are one commit.
 */
import { sql } from "kysely";
import type { Db } from "../platform/database.ts";
import { BEFORE_ALL, formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import type { Findings } from "./difference.ts";
import { ofMaster, type Scope } from "./scope.ts";

const PAGE = 1000;

export async function verifyPrices(db: Db, scope: Scope, findings: Findings): Promise<void> {
  await verifyRuling(db, scope, "subaccount", findings);
  await verifyRuling(db, scope, "master", findings);
  await verifyHistory(db, scope, findings);
}

type Ruling = Readonly<{ id: SubaccountId & MasterId; role: "own" | "default"; wanted: string; ruling: string }>;

async function verifyRuling(db: Db, scope: Scope, kind: "subaccount" | "master", findings: Findings): Promise<void> {
  const which = ofMaster(scope, kind === "master" ? "id" : "master_id");
  const roles = kind === "master" ? sql`unnest(array['own', 'default'])` : sql`unnest(array['own'])`;
  const unwritten = kind === "master" ? sql`'none'` : sql`'default'`;
  for (let after: string = BEFORE_ALL; ; ) {
    const { rows } = await sql<Ruling>`
      select a.id, r.role, concat_ws(' ', w.source, w.of_id, w.n, w.discount_bp, w.terms) as wanted,
             concat_ws(' ', coalesce(t.source, ${unwritten}), t.of_id, t.n, coalesce(t.discount_bp, 0), t.terms) as ruling
        from (select id from ${sql.table(kind)} where ${which} and id > ${after}::uuid order by id limit ${PAGE}) a,
             ${roles} as r (role), lateral (select pm_now() as at offset 0) now,
             lateral wanted_price(a.id, r.role, now.at) w
             left join lateral (select * from price_term p where p.account_id = a.id and p.role = r.role and p.since <= now.at
                                 order by p.seq desc limit 1) t on true
       order by a.id`.execute(db);
    findings.read(rows.length);
    for (const { id, role, wanted, ruling } of rows) {
      // Nothing is written of those that nothing was ever asked of.
      if (wanted === ruling || (wanted === "none 0" && ruling === "default 0")) continue;
      const subject = kind === "master" ? formatId("mas", id) : formatId("sub", id);
      findings.found({
        check: "prices",
        subject,
        detail: `${role}: "${ruling}" rules; what was chosen is "${wanted}"`,
      });
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = last.id;
  }
}

type Term = Readonly<{ seq: number; account: MasterId & SubaccountId; masterId: MasterId; same: boolean }>;

/** In the order of the index on masters. */
async function verifyHistory(db: Db, scope: Scope, findings: Findings): Promise<void> {
  for (let after: Omit<Term, "same"> = { masterId: BEFORE_ALL, account: BEFORE_ALL, seq: 0 }; ; ) {
    const { rows } = await sql<Term>`
      select p.seq, p.account_id as account, p.master_id as "masterId",
             p.terms is not distinct from case p.source when 'card' then card_terms(p.of_id, p.n)
                                                        when 'plan' then plan_price(p.of_id, p.n) end as same
        from price_term p
       where ${ofMaster(scope)} and (p.master_id, p.account_id, p.seq) > (${after.masterId}::uuid, ${after.account}::uuid, ${after.seq}::bigint)
       order by p.master_id, p.account_id, p.seq limit ${PAGE}`.execute(db);
    findings.read(rows.length);
    for (const { seq, account, masterId, same } of rows) {
      if (same) continue;
      const subject = account === masterId ? formatId("mas", account) : formatId("sub", account);
      findings.found({ check: "prices", subject, detail: `row ${seq} of its history has not the terms that it names` });
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = last;
  }
}
