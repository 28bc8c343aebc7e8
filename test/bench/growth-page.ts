/** What the growth bench found as one HTML page that needs nothing else. */
import { growthCurve } from "./growth-curve.ts";
import { type Figure, goalText, plain, type Subject, verdictOf } from "./growth-figures.ts";
import { pageStyle } from "./page-style.ts";
import { escapeText } from "./svg.ts";

const style = `${pageStyle}
td:nth-child(3) { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } td:nth-child(2) { white-space: nowrap }
`;

export function renderGrowthPage(facts: readonly (readonly [string, string])[], subjects: readonly Subject[]): string {
  const problems = subjects.flatMap(({ name, found }) => found.problems.map((problem) => `${name}: ${problem}`));
  const verdict =
    problems.length === 0
      ? `<p class="good">Every message is accounted for.</p>`
      : problems.map((problem) => `<p class="bad">${escapeText(problem)}</p>`).join("");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Postmeter: growth</title><style>${style}</style></head><body>
<h1>Does cost stay flat as the work grows?</h1>
${verdict}
<p>${facts.map(([name, value]) => escapeText(`${name}: ${value}`)).join("<br>")}</p>
${subjects.map(section).join("\n")}
</body></html>
`;
}

function section({ name, found, seconds }: Subject): string {
  const curves = found.curves.map((curve) => `<h3>${escapeText(curve.title)}</h3>${growthCurve(curve)}`).join("");
  return `<h2>${escapeText(name)}</h2><p>${Math.round(seconds)} s</p>
<table><tr><th>figure</th><th>goal</th><th>seen</th><th></th></tr>${found.figures.map(row).join("")}</table>${curves}`;
}

function row(figure: Figure): string {
  const remark = [verdictOf(figure), figure.note ?? ""].filter((part) => part !== "").join("; ");
  const cells = [figure.what, goalText(figure), `${plain(figure.seen)} ${figure.unit}`, remark];
  return `<tr>${cells.map((cell) => `<td>${escapeText(cell)}</td>`).join("")}</tr>`;
}
