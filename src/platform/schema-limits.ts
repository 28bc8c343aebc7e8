/** What holds mail back beside the monthly limits: the table of 0020_short_limits.sql, and the columns it added. */
import type { ColumnType, Generated } from "kysely";
import type { CredentialId, SubaccountId } from "./ids.ts";

/** Units in any span of that length; what is left out is not limited. */
export type RateLimits = Readonly<{ minute?: number; hour?: number; day?: number }>;

type RateLimitsColumn = ColumnType<RateLimits | null, string | null | undefined, string | null>;

export type SubaccountLimitColumns = {
  rate_limits: RateLimitsColumn;
  reserve: number | null;
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
};
