/** The tables as Kysely sees them; migrations/*.sql is the source. Names are those of the columns. */

import type {
  ApiKeyTable,
  AuditEntryTable,
  CredentialTable,
  IdempotencyTable,
  LockoutTable,
  MasterTable,
  NodeTable,
  SubaccountTable,
} from "./schema-accounts.ts";
import type {
  AlertLetterTable,
  AlertRuleTable,
  AlertTable,
  LetterTable,
  UndeliverableEmailTable,
  UsageMarkTable,
} from "./schema-alerts.ts";
import type { CreditEntryTable, CreditLotTable, CreditPackTable } from "./schema-credits.ts";
import type { ErasureTable } from "./schema-erasure.ts";
import type { RateWindowTable } from "./schema-limits.ts";
import type {
  LedgerArchiveTable,
  RefusalTable,
  StatementDueTable,
  StatementLineTable,
  StatementProfileTable,
  StatementTable,
  SummedDayTable,
  TopUpTable,
  UsageDayTable,
  UsageEntryTable,
  UsageOrderStateTable,
  UsageOrderTable,
  UsageTable,
} from "./schema-metering.ts";
import type { BulkItemTable, BulkRunTable, ReviewTable, SavedViewTable } from "./schema-overview.ts";
import type { BrandTable, LinkTable, MemberTable, PersonTable, SessionTable } from "./schema-people.ts";
import type {
  BillingProfileTable,
  ExpiryNoticeTable,
  MasterExpiryNoticeTable,
  PlanTable,
  PlanVersionTable,
  TemplateTable,
  TransferTable,
} from "./schema-plans.ts";
import type {
  PriceChoiceTable,
  PriceTermTable,
  RateCardTable,
  RateCardVersionTable,
  StatementAmountTable,
} from "./schema-prices.ts";
import type {
  BodyTable,
  CapturedTable,
  DomainGrantTable,
  EventTable,
  HoldTable,
  InDoubtTable,
  MessageTable,
  QueueTable,
  RecipientTable,
  SenderDomainTable,
} from "./schema-spool.ts";

export type { ContactPolicy, Json, NotificationEmail } from "./schema-columns.ts";
export type { DailyCapDefault, RateLimits } from "./schema-limits.ts";
export type { KindTotals } from "./schema-metering.ts";
export type { ItemError } from "./schema-overview.ts";
export type { Features } from "./schema-plans.ts";

export type Schema = {
  master: MasterTable;
  subaccount: SubaccountTable;
  credential: CredentialTable;
  api_key: ApiKeyTable;
  audit_entry: AuditEntryTable;
  idempotency: IdempotencyTable;
  lockout: LockoutTable;
  node: NodeTable;
  usage: UsageTable;
  usage_order: UsageOrderTable;
  usage_order_state: UsageOrderStateTable;
  usage_entry: UsageEntryTable;
  summed_day: SummedDayTable;
  usage_day: UsageDayTable;
  ledger_archive: LedgerArchiveTable;
  top_up: TopUpTable;
  refusal: RefusalTable;
  statement: StatementTable;
  statement_line: StatementLineTable;
  statement_profile: StatementProfileTable;
  statement_due: StatementDueTable;
  alert: AlertTable;
  alert_rule: AlertRuleTable;
  alert_letter: AlertLetterTable;
  usage_mark: UsageMarkTable;
  letter: LetterTable;
  undeliverable_email: UndeliverableEmailTable;
  message: MessageTable;
  body: BodyTable;
  recipient: RecipientTable;
  queue: QueueTable;
  hold: HoldTable;
  in_doubt: InDoubtTable;
  event: EventTable;
  sender_domain: SenderDomainTable;
  domain_grant: DomainGrantTable;
  captured: CapturedTable;
  brand: BrandTable;
  person: PersonTable;
  member: MemberTable;
  link: LinkTable;
  session: SessionTable;
  saved_view: SavedViewTable;
  bulk_run: BulkRunTable;
  bulk_item: BulkItemTable;
  review: ReviewTable;
  rate_window: RateWindowTable;
  credit_pack: CreditPackTable;
  credit_lot: CreditLotTable;
  credit_entry: CreditEntryTable;
  plan: PlanTable;
  plan_version: PlanVersionTable;
  template: TemplateTable;
  billing_profile: BillingProfileTable;
  rate_card: RateCardTable;
  rate_card_version: RateCardVersionTable;
  price_choice: PriceChoiceTable;
  price_term: PriceTermTable;
  statement_amount: StatementAmountTable;
  expiry_notice: ExpiryNoticeTable;
  master_expiry_notice: MasterExpiryNoticeTable;
  transfer: TransferTable;
  erasure: ErasureTable;
};
