/** Rate cards, what was chosen, and what ruled. */
import type { ColumnType, Generated } from "kysely";
import type { AccountId, MasterId, PlanId, RateCardId, StatementId, SubaccountId } from "./ids.ts";

export type RateCardTable = {
  id: RateCardId;
  master_id: MasterId | null;
  name: string;
  currency: string;
  current: Generated<number>;
  default_n: number | null;
  withdrawn_at: Date | null;
  created_at: Date;
  updated_at: Date;
  version: Generated<number>;
};

export type RateCardVersionTable = {
  rate_card_id: RateCardId;
  n: number;
  price_minor: number;
  cycle: "month" | "year";
  included_units: number | null;
  overage_per_1000: string;
  ceiling_minor: number | null;
  created_at: Date;
};

export type PriceChoiceTable = {
  account_id: AccountId;
  master_id: MasterId;
  rate_card_id: RateCardId | null;
  n: number | null;
  discount_bp: Generated<number>;
  next_rate_card_id: RateCardId | null;
  next_n: number | null;
  next_discount_bp: number | null;
  next_at: Date | null;
  updated_at: Date;
  version: Generated<number>;
};

/** As jsonb holds them. */
export type TermsColumn = Readonly<{
  currency: string;
  price_minor: number;
  cycle: "month" | "year";
  included_units: number | null;
  overage_per_1000: string;
  ceiling_minor: number | null;
}>;

/** Written by migrations/0044 alone. */
export type PriceTermTable = {
  seq: Generated<number>;
  account_id: AccountId;
  role: "own" | "default";
  master_id: MasterId;
  since: Date;
  source: "card" | "plan" | "default" | "none";
  of_id: RateCardId | PlanId | null;
  n: number | null;
  discount_bp: number;
  terms: ColumnType<TermsColumn | null, never, never>;
  written_at: Date;
};

/** In a statement: what ruled in its period. */
export type FrozenTerms = TermsColumn &
  Readonly<{
    from: string;
    until: string | null;
    source: "card" | "plan" | "default";
    of: string;
    n: number;
    discount_bp: number;
  }>;

export type StatementAmountTable = {
  statement_id: StatementId;
  subaccount_id: SubaccountId | null;
  currency: string;
  fee_minor: number;
  overage_minor: number;
  discount_minor: number;
  total_minor: number;
  terms: ColumnType<FrozenTerms[], string, never>;
};
