/** All usage rows of a master's running period, page by page: no long transaction, no long list. */
import type { Pool } from "pg";
import { type AccountId, BEFORE_ALL, type MasterId } from "../platform/ids.ts";
import type { Standing } from "./gate.ts";

const PAGE = 1000;

/** `version` changes with every message that is accepted. */
export type PeriodOfMaster = Readonly<{ masterId: MasterId; periodStart: Date; version: number }>;

const MASTERS = `select m.id, u.period_start, u.version
  from (select id from master where id > $1 order by id limit $2) m
  left join lateral (select period_start, version from usage where account_id = m.id and period_start <= pm_now() and period_end > pm_now()) u on true
  order by m.id`;

type MasterRow = { id: MasterId; period_start: Date | null; version: number | null };

/** Masters with a row in the running period. */
export async function* readMasters(pool: Pool): AsyncGenerator<PeriodOfMaster[]> {
  for (let after: string = BEFORE_ALL; ; ) {
    const { rows } = await pool.query<MasterRow>(MASTERS, [after, PAGE]);
    yield rows.flatMap(({ id, period_start, version }) =>
      period_start === null || version === null ? [] : [{ masterId: id, periodStart: period_start, version }],
    );
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = last.id;
  }
}

const ROWS = `select account_id, period_end, used, cap, version, open and coalesce(open_until > pm_now(), true) as open
  from usage where master_id = $1 and period_start = $2 and account_id > $3 order by account_id limit $4`;

type Row = {
  account_id: AccountId;
  period_end: Date;
  used: number;
  cap: number | null;
  version: number;
  open: boolean;
};

/** The master's own row among them. */
export async function* readStandingsOf(
  pool: Pool,
  { masterId, periodStart }: PeriodOfMaster,
): AsyncGenerator<Standing[]> {
  for (let after: string = BEFORE_ALL; ; ) {
    const { rows } = await pool.query<Row>(ROWS, [masterId, periodStart.toISOString(), after, PAGE]);
    yield rows.map(({ account_id, period_end, used, cap, version, open }) => ({
      accountId: account_id,
      masterId,
      periodStart,
      periodEnd: period_end,
      used,
      cap,
      version,
      open,
    }));
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    after = last.account_id;
  }
}
