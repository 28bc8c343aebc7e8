/** A statement to be printed or filed: one page without scripts, in the master's language and zone; each sheet repeats the table's head. */
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
import { billedUnits, overageUnits, type Statement, type StatementLine } from "../metering/statement.ts";
import type { Content } from "./endpoint.ts";
import { showId } from "./fields.ts";

const style = `
body { font: 10pt/1.4 system-ui, sans-serif; color: #111; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
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
tfoot td, tfoot th { border-top: 2px solid #111; border-bottom: 0; font-weight: 600; }
.preview { border: 2px solid #8a4b00; padding: .5rem .8rem; }
.proof { color: #555; font-size: 8pt; margin-top: 2rem; overflow-wrap: anywhere; }
thead { display: table-header-group; } tfoot { display: table-row-group; } tr { break-inside: avoid; }
@media print { body { max-width: none; margin: 0; padding: 0; } .lines { overflow: visible; } }
@page { margin: 15mm; }
`;

/** Only this style, and nothing else from anywhere. */
const POLICY = `default-src 'none'; style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

const english = {
  statement: "Statement",
  preview: "Preview of a statement",
  running: "The period is still running: these figures will change.",
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
  overage: "Of these above the allowance",
  customer: "Subaccount",
  reference: "Your reference",
  limit: "Limit",
  topUp: "Top-ups",
  total: "Total",
  own: "own sending",
  proof:
    "Hash of the lines, and of the chain of statements (SHA-256). The operator checks both with: postmeter ledger verify",
};

const words: InLanguages<Readonly<Record<keyof typeof english, string>>> = {
  en: english,
  de: {
    statement: "Abrechnung",
    preview: "Vorschau einer Abrechnung",
    running: "Der Zeitraum läuft noch: Diese Zahlen werden sich ändern.",
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
    overage: "Davon über dem Kontingent",
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

export async function statementPage(statement: Statement, master: PageOf): Promise<Content> {
  const reader: Reader = { language: languageOf(master.language), timeZone: master.calendar.timeZone };
  const w = inLanguage(words, reader.language);
  const { period, allowance, closedAt, lines, linesHash, chainHash } = statement;
  const count = (value: number) => writeCount(value, reader.language);
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
${id === null ? "" : html`<dt>${w.number}</dt><dd>${id}</dd>`}
${closedAt === null ? "" : html`<dt>${w.closed}</dt><dd>${at(closedAt)}</dd>`}
<dt>${w.allowance}</dt><dd>${allowance === null ? w.unlimited : count(allowance)}</dd>
<dt>${w.billed}</dt><dd>${count(billedUnits(statement))}</dd>
<dt>${w.overage}</dt><dd>${count(overageUnits(statement))}</dd>
</dl>
<div class="lines" tabindex="0" role="region" aria-label="${w.customer}">
<table>
<thead><tr><th scope="col">${w.customer}</th><th scope="col">${w.reference}</th><th scope="col" class="n">${w.limit}</th><th scope="col" class="n">${w.topUp}</th><th scope="col" class="n">${w.messages}</th><th scope="col" class="n">${w.units}</th><th scope="col" class="n">${w.corrections}</th><th scope="col" class="n">${w.billed}</th></tr></thead>
<tbody>
${lines.map((line) => lineOf(line, { own: line.subaccountId === master.ownSubaccountId ? w.own : null, count }))}
</tbody>
<tfoot><tr><th scope="row" colspan="4">${w.total}</th>${sumsOf(statement, count)}</tr></tfoot>
</table>
</div>
</main>
${linesHash === null || chainHash === null ? "" : html`<footer class="proof"><p>${w.proof}</p><p>${linesHash}<br>${chainHash}</p></footer>`}
</body>
</html>
`;
  return { type: "text/html; charset=utf-8", bytes: Buffer.from(page.toString()), policy: POLICY };
}

type Look = Readonly<{ own: string | null; count(value: number): string }>;

function lineOf(line: StatementLine, { own, count }: Look) {
  const { name, externalId, monthlyLimit, topUp } = line;
  return html`<tr><th scope="row">${name}${own === null ? "" : html` (${own})`}<br><small>${showId("sub", line.subaccountId)}</small></th><td>${externalId ?? ""}</td><td class="n">${monthlyLimit === null ? "-" : count(monthlyLimit)}</td><td class="n">${count(topUp)}</td>${sumsOf(line, count)}</tr>
`;
}

type Sums = Pick<StatementLine, "messages" | "units" | "corrections">;

function sumsOf(sums: Sums, count: Look["count"]) {
  const { messages, units, corrections } = sums;
  return html`${[messages, units, corrections, billedUnits(sums)].map((value) => html`<td class="n">${count(value)}</td>`)}`;
}
