/** The report as one HTML page that needs nothing else. */
import { bars, curves, escapeText } from "./plot.ts";
import type { Line, Report } from "./summary.ts";
import { ms, renderTable, scenarioName, verdict, whole } from "./table.ts";

const style = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --paper: #fff; --rule: #d5dae3;
  --relay: #0b6e6e; --postfix-tmpfs: #d08700; --postfix-disk: #8f4a9c; --sink: #98a2b3; --before: #4a6fa5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --paper: #12161d; --rule: #2c3440; --relay: #2cb5b5; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 780px; margin: 2.5rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1.15rem; margin: 2.4rem 0 .4rem } h3 { font-size: .95rem; margin: 1.2rem 0 .2rem }
p, dl { color: var(--soft); margin: .3rem 0 } dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; font-size: .87rem } dd { margin: 0 }
svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif } svg text { fill: var(--ink); font-variant-numeric: tabular-nums }
.relay { fill: var(--relay); stroke: var(--relay) } .postfix-tmpfs { fill: var(--postfix-tmpfs); stroke: var(--postfix-tmpfs) }
.postfix-disk { fill: var(--postfix-disk); stroke: var(--postfix-disk) } .sink { fill: var(--sink); stroke: var(--sink) }
.before { fill: var(--before); stroke: var(--before) }
rect { stroke: none } .curve { fill: none; stroke-width: 2 } .grid { stroke: var(--rule) } .spread { stroke: var(--ink); stroke-width: 1.5 }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin: 0 .35em 0 1em } .key:first-child { margin-left: 0 }
pre { overflow-x: auto; font-size: 12px; border: 1px solid var(--rule); border-radius: 6px; padding: .8rem }
.good { color: var(--relay) } .bad { color: #c0392b; font-weight: 600; white-space: pre-line }
`;

export function renderPage(report: Report): string {
  const scenarios = [...Map.groupBy(report.lines, (line) => scenarioName(line.scenario))];
  const facts = [...report.machine, ...report.targets.map(({ name, about }) => [name, about] as const)];
  const good = report.problems.length === 0;
  const keys = report.targets.map(
    ({ name }) => `<span class="key" style="background:var(--${name})"></span>${escapeText(name)}`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Postmeter bench</title><style>${style}</style></head><body>
<h1>Postmeter bench</h1>
<p class="${good ? "good" : "bad"}">${escapeText(verdict(report.problems).join("\n"))}</p>
<dl>${facts.map(([name, value]) => `<dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd>`).join("")}</dl>
<p>${keys.join("")}</p>
<h2>Delivered messages per second</h2>
<p>From the first MAIL to the last arrival at the sink. The thin line spans the rounds.</p>
${rates(scenarios)}
<h2>From MAIL to the final 250</h2>
<p>By percentile, logarithmic.</p>
${scenarios.map(([name, lines]) => `<h3>${escapeText(name)}</h3>${curves(lines.map((line) => ({ group: line.target, values: line.mail.curve })))}`).join("")}
<h2>CPU seconds per 1,000 messages</h2>
<p>All processes of a target: the relay with its PostgreSQL and Redis, Postfix with all its daemons.</p>
${costs(scenarios)}
<h2>All figures</h2>
<pre>${escapeText(renderTable(report))}</pre>
</body></html>
`;
}

type Scenarios = readonly (readonly [name: string, lines: Line[]])[];

function rates(scenarios: Scenarios): string {
  const largest = Math.max(...scenarios.flatMap(([, lines]) => lines.map((line) => line.highest)));
  return scenarios
    .map(([name, lines]) => {
      const rows = lines.map((line) => ({
        label: line.target,
        group: line.target,
        value: line.deliveredPerSecond,
        lowest: line.lowest,
        highest: line.highest,
        text: whole(line.deliveredPerSecond) + (line.ratio === null ? "" : ` (relay ${line.ratio.toFixed(1)} x)`),
      }));
      return `<h3>${escapeText(name)}</h3>${bars(rows, largest)}`;
    })
    .join("");
}

function costs(scenarios: Scenarios): string {
  const largest = Math.max(...scenarios.flatMap(([, lines]) => lines.map((line) => line.cpuPerThousand)));
  return scenarios
    .map(([name, lines]) => {
      const rows = lines.map((line) => ({
        label: line.target,
        group: line.target,
        value: line.cpuPerThousand,
        text: `${ms(line.cpuPerThousand)} s`,
      }));
      return `<h3>${escapeText(name)}</h3>${bars(rows, largest)}`;
    })
    .join("");
}
