/** Units that a master has bought ahead: the tables of 0023_credits.sql. */
import type { Generated } from "kysely";
import type { CreditLotId, CreditPackId, MasterId, MessageId, SubaccountId } from "./ids.ts";

export type CreditPackTable = {
  id: CreditPackId;
  master_id: MasterId;
  units: number;
  note: string | null;
  expires_at: Date | null;
  created_at: Date;
};

export type CreditLotTable = {
  id: CreditLotId;
  pack_id: CreditPackId;
  master_id: MasterId;
  subaccount_id: SubaccountId;
  units: number;
  spent: Generated<number>;
  expires_at: Date | null;
  created_at: Date;
};

export type CreditEntryTable = {
  message_id: MessageId;
  lot_id: CreditLotId;
  master_id: MasterId;
  subaccount_id: SubaccountId;
  period_start: Date;
  units: number;
  spent_at: Date;
};
