/** The words of a quota alert, as text and as HTML: what was used, of what, until when, and what to do. */
import { escapeHtml } from "../mail/compose.ts";

export type QuotaAlert = Readonly<{
  account: "subaccount" | "master";
  name: string;
  id: string; // TypeID
  level: number; // percent
  reason: "threshold" | "refused";
  used: number;
  /** Limit with top-ups, or the master's allowance. Null: none, so another limit refused. */
  base: number | null;
  topUp: number;
  /** What is never exceeded; for a master with overage it is above `base`. Null: unlimited. */
  cap: number | null;
  overage: "block" | "bill";
  periodEnd: Date;
}>;

export type Words = Readonly<{ subject: string; text: string; html: string }>;

export const PRODUCT = "Postmeter";

/** `link`: the API reference. There is no page for people yet on which usage and limits can be seen. */
export function quotaLetter(alert: QuotaAlert, link: string): Words {
  const facts = factsOf(alert);
  const what = headline(alert);
  const next = consequence(alert);
  const todo = advice(alert);
  const why = `This is sent once for each threshold and limit to the notification addresses for quota.`;
  const text = [
    `${what}.`,
    facts.map(([name, value]) => `${`${name}:`.padEnd(12)}${value}`).join("\n"),
    next,
    todo,
    `${REFERENCE}: ${link}`,
    `-- \n${PRODUCT}\n${why}`,
  ].join("\n\n");
  const rows = facts.map(
    ([name, value]) =>
      `<tr><th align="left" style="padding-right:1em">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
  );
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(what)}</title></head>
<body style="font-family:sans-serif;line-height:1.5;color:#222">
<p><strong>${escapeHtml(what)}.</strong></p>
<table cellspacing="0" cellpadding="2">
${rows.join("\n")}
</table>
<p>${escapeHtml(next)}</p>
<p>${escapeHtml(todo)}</p>
<p><a href="${escapeHtml(link)}">${REFERENCE}</a></p>
<p style="color:#666;font-size:smaller">${PRODUCT}. ${escapeHtml(why)}</p>
</body></html>
`;
  return { subject: what, text: `${text}\n`, html };
}

const noun = ({ account }: QuotaAlert) => (account === "subaccount" ? "monthly limit" : "monthly allowance");

function headline(alert: QuotaAlert): string {
  const { name, reason, used, base } = alert;
  if (reason === "refused") return `Mail of ${name} is refused: its ${noun(alert)} has no room for it`;
  if (base !== null && used >= base) return `${name} has reached its ${noun(alert)}`;
  return `${name} has used ${alert.level} % of its ${noun(alert)}`;
}

function factsOf(alert: QuotaAlert): [name: string, value: string][] {
  const { name, id, used, base, topUp, cap, account } = alert;
  const share = base !== null && base > 0 ? ` (${Math.floor((used * 100) / base)} %)` : "";
  const limit = cap === null ? null : account === "subaccount" ? cap - topUp : base;
  return [
    ["Account", `${name} (${id})`],
    ["Used", `${count(used)} recipients${share}`],
    [account === "subaccount" ? "Limit" : "Allowance", limit === null ? "none" : count(limit)],
    ...(topUp > 0 ? [["Top-ups", count(topUp)] as [string, string]] : []),
    ["Left", cap === null ? "unlimited" : count(Math.max(0, cap - used))],
    ["Resets", `${alert.periodEnd.toISOString().slice(0, 16).replace("T", " ")} UTC`],
  ];
}

function consequence({ account, reason, overage, cap, base }: QuotaAlert): string {
  if (account === "master" && overage === "bill" && reason === "threshold") {
    const most = cap === null ? "" : ` Sending stops at ${count(cap)}.`;
    return `What is sent above the allowance of ${count(base ?? 0)} is billed as overage.${most}`;
  }
  if (reason === "refused") {
    return "A message with more recipients than are left is refused whole, with a permanent error, and is not queued: its sender has to send it again.";
  }
  return "Messages that don't fit are refused with a permanent error; they are not queued.";
}

const REFERENCE = "API reference";

function advice({ account, id }: QuotaAlert): string {
  if (account === "master") {
    return "With your API key, GET /v1/usage shows what is used, and GET /v1/usage/subaccounts by whom. Your provider can raise the allowance.";
  }
  const path = `/v1/subaccounts/${id}`;
  return `With an API key of the account, GET ${path}/usage shows what is used. With one of its master, PATCH ${path} raises the monthly_limit, and POST ${path}/top_ups adds units for this period alone.`;
}

/** 12,345 */
function count(units: number): string {
  return units.toLocaleString("en-US");
}
