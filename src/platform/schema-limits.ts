/** What holds mail back beside the monthly limits: the table of 0020_short_limits.sql, and the columns that it and 0022 added. */
import type { ColumnType, Generated } from "kysely";
import type { CredentialId, SubaccountId } from "./ids.ts";

/** Units in any span of that length; what is left out is not limited. */
export type RateLimits = Readonly<{ minute?: number; hour?: number; day?: number }>;

type RateLimitsColumn = ColumnType<RateLimits | null, string | null | undefined, string | null>;

/** What new subaccounts start with: caps by day, for those whose limit is not below `from_limit`. */
export type DailyCapDefault = Readonly<{ ramp: readonly number[]; from_limit: number }>;

export type MasterLimitColumns = {
  new_subaccount_daily_cap: ColumnType<DailyCapDefault | null, string | null | undefined, string | null>;
};

export type SubaccountLimitColumns = {
  rate_limits: RateLimitsColumn;
  reserve: number | null;
  daily_cap_ramp: number[] | null;
  ramp_started_at: Date | null;
};

export type CredentialLimitColumns = {
  rate_limits: RateLimitsColumn;
  transactional: Generated<boolean>;
};

export type RateWindowTable = {
  id: SubaccountId | CredentialId;
  /** Seconds. */
  span: 60 | 3600 | 86400;
  newest: number;
  slots: number[];
  /** Of all slots. */
  total: Generated<number>;
  /** Null, without a ramp too: not in force (0048). */
  most: number | null;
  ramp: number[] | null;
  ramp_started_at: Date | null;
};
