/** The letter of an alert, whatever its kind; and its one line in a digest. */
import type { Contacts } from "../letters/contacts.ts";
import type { Reader } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";
import { formatId, type MasterId, type SubaccountId } from "../platform/ids.ts";
import { type ForecastAlert, forecastHeadline, forecastLetter } from "./forecast-letter.ts";
import { type JumpAlert, jumpHeadline, jumpLetter } from "./jump-letter.ts";
import { type QuotaAlert, quotaHeadline, quotaLetter } from "./quota-letter.ts";
import type { AlertContext } from "./read-alerts.ts";

type Side = Contacts["side"];

/** `raise`: a link by which the reader may raise the limit. */
export function alertLetter(
  context: AlertContext,
  side: Side,
  reader: Reader,
  origin: string,
  raise: string | null,
): Letter {
  const { alert } = context;
  const links = { origin, raise };
  if (alert.reason === "forecast") return forecastLetter(forecastFacts(context, side), reader, links);
  if (alert.reason === "jump") return jumpLetter(jumpFacts(context, side), reader, links);
  return quotaLetter(quotaFacts(context, side), reader, links);
}

export function alertHeadline(context: AlertContext, side: Side, reader: Reader): string {
  const { alert } = context;
  if (alert.reason === "forecast") return forecastHeadline(forecastFacts(context, side), reader.language);
  if (alert.reason === "jump") return jumpHeadline(jumpFacts(context, side), reader.language);
  return quotaHeadline(quotaFacts(context, side), reader.language);
}

/** A subaccount does not know what its master calls it. */
function accountFacts({ alert, account }: AlertContext, side: Side) {
  const isMaster = alert.account_id === alert.master_id;
  return {
    account: isMaster ? "master" : "subaccount",
    id: isMaster ? formatId("mas", alert.account_id as MasterId) : formatId("sub", alert.account_id as SubaccountId),
    name: side === "subaccount" ? (account.slug ?? account.name) : account.name,
    used: alert.used,
    base: alert.base,
    topUp: account.topUp,
    cap: account.cap,
    overage: account.overage,
    periodEnd: account.periodEnd,
  } as const;
}

function quotaFacts(context: AlertContext, side: Side): QuotaAlert {
  const { level, reason } = context.alert;
  return {
    ...accountFacts(context, side),
    level: level ?? 100,
    reason: reason === "refused" ? "refused" : "threshold",
  };
}

function forecastFacts(context: AlertContext, side: Side): ForecastAlert {
  const { data } = context.alert;
  return {
    ...accountFacts(context, side),
    ...(data as Pick<ForecastAlert, "expected" | "earliest" | "latest" | "at_end">),
  };
}

function jumpFacts(context: AlertContext, side: Side): JumpAlert {
  const { data } = context.alert;
  return { ...accountFacts(context, side), ...(data as Pick<JumpAlert, "date" | "units" | "usual">) };
}
