/** What the growth bench found as one HTML page that needs nothing else. */
import { growthCurve } from "./growth-curve.ts";
import { type Figure, goalText, plain, type Subject, verdictOf } from "./growth-figures.ts";
import { escapeText } from "./plot.ts";

const style = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --paper: #fff; --rule: #d5dae3; --0: #0b6e6e; --1: #d08700; --2: #8f4a9c; --3: #4a6fa5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --paper: #12161d; --rule: #2c3440; --0: #2cb5b5; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 820px; margin: 2.5rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.4rem 0 .4rem } h3 { font-size: .95rem; margin: 1.2rem 0 .2rem }
p { color: var(--soft); margin: .3rem 0 } svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif } svg text { fill: var(--ink) }
table { border-collapse: collapse; font-size: .87rem; width: 100% } td, th { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--rule) }
td:nth-child(3) { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap } td:nth-child(2) { white-space: nowrap }
.line0 { color: var(--0) } .line1 { color: var(--1) } .line2 { color: var(--2) } .line3 { color: var(--3) }
.curve { fill: none; stroke: currentColor; stroke-width: 2 } circle { fill: currentColor } .grid { stroke: var(--rule) }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 1em; background: currentColor } .key:first-child { margin-left: 0 }
.good { color: var(--0) } .bad { color: #c0392b; font-weight: 600 }
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
