/** Every endpoint there is. */
import { accountEndpoints } from "./account.ts";
import { alertRuleEndpoints } from "./alert-rules.ts";
import { alertEndpoints } from "./alerts.ts";
import { auditEndpoints } from "./audit.ts";
import { billingHistoryEndpoints } from "./billing-history.ts";
import { billingProfileEndpoints } from "./billing-profiles.ts";
import { brandingEndpoints } from "./branding.ts";
import { bulkChangeEndpoints } from "./bulk-changes.ts";
import { capturedEndpoints } from "./captured.ts";
import { correctionEndpoints } from "./corrections.ts";
import { credentialEndpoints } from "./credentials.ts";
import { creditEndpoints } from "./credits.ts";
import type { Deps } from "./deps.ts";
import { domainEndpoints } from "./domains.ts";
import type { Endpoint } from "./endpoint.ts";
import { erasureEndpoints } from "./erasures.ts";
import { eventEndpoints } from "./events.ts";
import { forecastEndpoints } from "./forecasts.ts";
import { grantEndpoints } from "./grants.ts";
import { importEndpoints } from "./imports.ts";
import { keyEndpoints } from "./keys.ts";
import { masterEndpoints } from "./masters.ts";
import { meEndpoints } from "./me.ts";
import { memberEndpoints } from "./members.ts";
import { messageEndpoints } from "./messages.ts";
import { ownerEndpoints } from "./owner.ts";
import { planSwitchEndpoints } from "./plan-switch.ts";
import { planEndpoints } from "./plans.ts";
import { priceEndpoints } from "./prices.ts";
import { queueEndpoints } from "./queue.ts";
import { quoteEndpoints } from "./quotes.ts";
import { rateCardEndpoints } from "./rate-cards.ts";
import { refusalEndpoints } from "./refusals.ts";
import { renewEndpoints } from "./renew.ts";
import { reviewEndpoints } from "./reviews.ts";
import { slugEndpoints } from "./slugs.ts";
import { statementEndpoints } from "./statements.ts";
import { subaccountEndpoints } from "./subaccounts.ts";
import { templateEndpoints } from "./templates.ts";
import { transferEndpoints } from "./transfers.ts";
import { transitionEndpoints } from "./transitions.ts";
import { usageEndpoints } from "./usage.ts";
import { usageDailyEndpoints } from "./usage-daily.ts";
import { usageExportEndpoints } from "./usage-export.ts";
import { viewEndpoints } from "./views.ts";

const rooms = [
  masterEndpoints,
  accountEndpoints,
  subaccountEndpoints,
  slugEndpoints,
  viewEndpoints,
  importEndpoints,
  bulkChangeEndpoints,
  transitionEndpoints,
  renewEndpoints,
  planEndpoints,
  planSwitchEndpoints,
  templateEndpoints,
  billingProfileEndpoints,
  rateCardEndpoints,
  priceEndpoints,
  quoteEndpoints,
  transferEndpoints,
  erasureEndpoints,
  brandingEndpoints,
  domainEndpoints,
  grantEndpoints,
  credentialEndpoints,
  keyEndpoints,
  memberEndpoints,
  meEndpoints,
  ownerEndpoints,
  usageEndpoints,
  usageDailyEndpoints,
  usageExportEndpoints,
  forecastEndpoints,
  alertEndpoints,
  alertRuleEndpoints,
  messageEndpoints,
  eventEndpoints,
  auditEndpoints,
  statementEndpoints,
  billingHistoryEndpoints,
  correctionEndpoints,
  refusalEndpoints,
  creditEndpoints,
  queueEndpoints,
  reviewEndpoints,
  capturedEndpoints,
];

export function createEndpoints(deps: Deps): Endpoint[] {
  return rooms.flatMap((endpointsOf) => endpointsOf(deps));
}
