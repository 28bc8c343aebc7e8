/**
 * A statement to be printed or filed: one page without scripts, in the master's language and zone, by billing profile where there are any;
 * each sheet of paper repeats the table's head.
 */
import { createHash } from "node:crypto";
import { html, raw } from "hono/html";
import type { Master } from "../accounts/account.ts";
import { COLOUR, PRODUCT } from "../branding/brand.ts";
import {
  type InLanguages,
  inLanguage,
  languageOf,
  type Reader,
  writeCount,
  writeInstant,
} from "../letters/language.ts";
import { billedUnits, type Statement, type StatementFigures, type StatementLine } from "../metering/statement.ts";
import { groupLines, type StatementGroup } from "../metering/statement-groups.ts";
import type { Content } from "./endpoint.ts";
import { showId } from "./fields.ts";
import { moneyOf } from "./statement-money.ts";

const style = `
body { font: 10pt/1.4 system-ui, sans-serif; color: #111; max-width: 78rem; margin: 2rem auto; padding: 0 1rem; }
header { color: ${COLOUR}; font-weight: 600; }
h1 { font-size: 1.6rem; margin: .5rem 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.5rem; }
dt { color: #555; } dd { margin: 0; }
.lines { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin-top: 1.5rem; }
th, td { padding: .3rem .5rem; border-bottom: 1px solid #ccc; text-align: left; vertical-align: top; overflow-wrap: anywhere; }
thead th { border-bottom: 2px solid #111; overflow-wrap: normal; }
tbody th { min-width: 12em; } tbody small { font-weight: normal; color: #555; white-space: nowrap; }
.n { text-align: right; font-variant-numeric: tabular-nums; } td.n { white-space: nowrap; }
tbody .group th { padding-top: 1.2rem; border-bottom: 1px solid #111; } .group span { font-weight: normal; color: #555; white-space: pre-line; }
tbody .sum th, tbody .sum td { border-top: 1px solid #111; font-weight: 600; }
tfoot td, tfoot th { border-top: 2px solid #111; border-bottom: 0; font-weight: 600; }
.preview { border: 2px solid #8a4b00; padding: .5rem .8rem; }
.proof { color: #555; font-size: 8pt; margin-top: 2rem; overflow-wrap: anywhere; }
thead { display: table-header-group; } tfoot { display: table-row-group; } tr { break-inside: avoid; }
@media print { body { max-width: none; margin: 0; padding: 0; } .lines { overflow: visible; } }
@page { size: a4 landscape; margin: 15mm; }
`;

/** Only this style, and nothing else from anywhere. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

type Words = Readonly<Record<keyof typeof english, string>>;

const english = {
  statement: "Statement",
  preview: "Preview of a statement",
  running: "The period is not closed yet: these figures may change.",
  account: "Account",
  period: "Period",
  to: "to",
  number: "Number",
  closed: "Closed",
  allowance: "Allowance",
  unlimited: "none",
  messages: "Messages",
  units: "Accepted recipients",
  corrections: "Corrections",
  billed: "Billed units",
  credits: "Paid by credits",
  overage: "Above the allowance",
  refused: "Refused messages",
  profile: "Billing profile",
  noProfile: "Without a billing profile",
  costCentre: "Cost centre",
  currency: "Currency",
  sum: "Sum",
  customer: "Subaccount",
  reference: "Your reference",
  limit: "Limit",
  topUp: "Top-ups",
  total: "Total",
  own: "own sending",
  proof:
    "Hash of the lines, and of the chain of statements (SHA-256). The operator checks both with: postmeter ledger verify",
};

const words: InLanguages<Words> = {
  en: english,
  de: {
    statement: "Abrechnung",
    preview: "Vorschau einer Abrechnung",
    running: "Der Zeitraum ist noch nicht abgeschlossen: Diese Zahlen können sich ändern.",
    account: "Konto",
    period: "Zeitraum",
    to: "bis",
    number: "Nummer",
    closed: "Abgeschlossen",
    allowance: "Kontingent",
    unlimited: "keines",
    messages: "Nachrichten",
    units: "Angenommene Empfänger",
    corrections: "Korrekturen",
    billed: "Berechnete Einheiten",
    credits: "Durch Guthaben bezahlt",
    overage: "Über dem Kontingent",
    refused: "Abgelehnte Nachrichten",
    profile: "Rechnungsprofil",
    noProfile: "Ohne Rechnungsprofil",
    costCentre: "Kostenstelle",
    currency: "Währung",
    sum: "Zwischensumme",
    customer: "Unterkonto",
    reference: "Ihr Zeichen",
    limit: "Limit",
    topUp: "Aufstockungen",
    total: "Summe",
    own: "eigener Versand",
    proof:
      "Prüfsumme der Zeilen und der Kette der Abrechnungen (SHA-256). Der Betreiber prüft beide mit: postmeter ledger verify",
  },
};

type PageOf = Pick<Master, "name" | "language" | "calendar" | "ownSubaccountId">;
type Count = (value: number) => string;

export async function statementPage(statement: Statement, master: PageOf): Promise<Content> {
  const reader: Reader = { language: languageOf(master.language), timeZone: master.calendar.timeZone };
  const w = inLanguage(words, reader.language);
  const { number, period, allowance, closedAt, linesHash, chainHash } = statement;
  const count: Count = (value) => writeCount(value, reader.language);
  const at = (instant: Date) => writeInstant(instant, reader);
  const id = showId("stm", statement.id);
  const title = id === null ? w.preview : w.statement;
  const page = await html`<!doctype html>
<html lang="${reader.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} ${period.start.toISOString().slice(0, 10)} - ${master.name}</title>
<style>${raw(style)}</style>
</head>
<body>
<header>${PRODUCT}</header>
<main>
<h1>${title}</h1>
${id === null ? html`<p class="preview">${w.running}</p>` : ""}
<dl>
<dt>${w.account}</dt><dd>${master.name}</dd>
<dt>${w.period}</dt><dd>${at(period.start)} ${w.to} ${at(period.end)}</dd>
${number === null ? "" : html`<dt>${w.number}</dt><dd>${number} (${id})</dd>`}
${closedAt === null ? "" : html`<dt>${w.closed}</dt><dd>${at(closedAt)}</dd>`}
<dt>${w.allowance}</dt><dd>${allowance === null ? w.unlimited : count(allowance)}</dd>
<dt>${w.billed}</dt><dd>${count(billedUnits(statement))}</dd>
<dt>${w.credits}</dt><dd>${count(statement.credits)}</dd>
<dt>${w.overage}</dt><dd>${count(statement.overageUnits)}</dd>
</dl>
${tableOf(statement, { w, count, own: master.ownSubaccountId })}
${moneyOf(statement, reader.language)}
</main>
${linesHash === null || chainHash === null ? "" : html`<footer class="proof"><p>${w.proof}</p><p>${linesHash}<br>${chainHash}</p></footer>`}
</body>
</html>
`;
  return { type: "text/html; charset=utf-8", bytes: Buffer.from(page.toString()), policy: POLICY };
}

/** `own`: the master's own subaccount. */
type Look = Readonly<{ w: Words; count: Count; own: string }>;

/** One body of the table for each billing profile; without any there is one, without a head and a sum of its own. */
function tableOf(statement: Statement, look: Look) {
  const { w, count } = look;
  const groups = groupLines(statement);
  const grouped = groups.some(({ name }) => name !== null);
  const heads = [w.limit, w.topUp, w.messages, w.units, w.corrections, w.billed, w.credits, w.overage, w.refused];
  return html`<div class="lines" tabindex="0" role="region" aria-label="${w.customer}">
<table>
<thead><tr><th scope="col">${w.customer}</th><th scope="col">${w.reference}</th>${heads.map((head) => html`<th scope="col" class="n">${head}</th>`)}</tr></thead>
${groups.map(
  (group) => html`<tbody>
${grouped ? html`<tr class="group"><th scope="rowgroup" colspan="11">${headOf(group, w)}</th></tr>` : ""}
${group.lines.map((line) => lineOf(line, look))}
${grouped ? html`<tr class="sum"><th scope="row" colspan="4">${w.sum}</th>${figuresOf(group, count)}</tr>` : ""}
</tbody>
`,
)}
<tfoot><tr><th scope="row" colspan="4">${w.total}</th>${figuresOf(statement, count)}</tr></tfoot>
</table>
</div>`;
}

function headOf({ name, profile }: StatementGroup, w: Words) {
  if (name === null) return w.noProfile;
  const facts = profile === null ? [] : [`${w.currency}: ${profile.currency}`];
  if (profile?.costCentre) facts.push(`${w.costCentre}: ${profile.costCentre}`);
  if (profile?.address) facts.push(profile.address);
  return html`${w.profile}: ${name}${facts.length === 0 ? "" : html`<br><span>${facts.join("\n")}</span>`}`;
}

function lineOf(line: StatementLine, { w, count, own }: Look) {
  const { name, externalId, monthlyLimit, topUp } = line;
  const isOwn = line.subaccountId === own;
  return html`<tr><th scope="row">${name}${isOwn ? html` (${w.own})` : ""}<br><small>${showId("sub", line.subaccountId)}</small></th><td>${externalId ?? ""}</td><td class="n">${monthlyLimit === null ? "-" : count(monthlyLimit)}</td><td class="n">${count(topUp)}</td>${figuresOf(line, count)}</tr>
`;
}

function figuresOf(figures: StatementFigures, count: Count) {
  const { messages, units, corrections, credits, overageUnits, refused } = figures;
  const shown = [messages, units, corrections, billedUnits(figures), credits, overageUnits, refused];
  return shown.map((value) => html`<td class="n">${count(value)}</td>`);
}
