/** The report as one HTML page that needs nothing else. */
import { type Bar, bars } from "./bars.ts";
import { latencyPlot } from "./latency-plot.ts";
import { pageStyle } from "./page-style.ts";
import type { Line, Report } from "./summary.ts";
import { escapeText } from "./svg.ts";
import { ms, renderTable, scenarioName, verdict, whole } from "./table.ts";
import { contenderName, type TargetName } from "./target.ts";

const colours: Record<TargetName, string> = {
  relay: "c0",
  "postfix-tmpfs": "c1",
  "postfix-disk": "c2",
  haraka: "c4",
  before: "c3",
  sink: "c5",
};

export function renderPage(report: Report): string {
  const scenarios = [...Map.groupBy(report.lines, (line) => scenarioName(line.scenario))];
  const facts = [...report.machine, ...report.targets.map(({ name, about }) => [name, about] as const)];
  const good = report.problems.length === 0;
  const keys = report.targets.map(({ name }) => `<span class="key ${colours[name]}"></span>${escapeText(name)}`);
  const each = (plot: (name: string, lines: readonly Line[]) => string): string =>
    scenarios.map(([name, lines]) => `<h3>${escapeText(name)}</h3>${plot(name, lines)}`).join("");
  const bar = (what: string, toBars: (line: Line) => readonly Bar[]): string => {
    const rows = (lines: readonly Line[]): Bar[] => lines.flatMap(toBars);
    const largest = Math.max(...rows(report.lines).map(({ value, highest }) => highest ?? value));
    return each((name, lines) => bars(`${what}: ${name}`, rows(lines), largest));
  };
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Postmeter bench</title><style>${pageStyle}</style></head><body>
<h1>Postmeter bench</h1>
<p class="${good ? "good" : "bad"}">${escapeText(verdict(report.problems).join("\n"))}</p>
<dl>${facts.map(([name, value]) => `<dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd>`).join("")}</dl>
<p>${keys.join("")}</p>
<h2>Delivered messages per second</h2>
<p>From the first MAIL to the last arrival at the sink. The thin line spans the rounds.</p>
${bar("Delivered messages per second", (line) => [rateBar(line)])}
<h2>From MAIL to the final 250</h2>
<p>How many have their answer after how long. The median of the rounds at each share; time is logarithmic. Dashes: STARTTLS; dots: implicit TLS.</p>
${each((name, lines) => latencyPlot(`From MAIL to the final 250: ${name}`, lines.map(latencyLine)))}
<h2>CPU seconds per 1,000 messages</h2>
<p>All processes of a target: the relay with its PostgreSQL and Redis, Postfix with all its daemons.</p>
${bar("CPU seconds per 1,000 messages", (line) => [costBar(line)])}
<h2>Memory</h2>
<p>The highest resident memory of a single process, for the three largest programs of a target. PostgreSQL's counts its shared buffers.</p>
${bar("Peak memory of a process", memoryBars)}
<h2>All figures</h2>
<pre>${escapeText(renderTable(report))}</pre>
</body></html>
`;
}

function latencyLine(line: Line) {
  return { name: contenderName(line), colour: colours[line.target], dash: line.tls, latency: line.mail };
}

function rateBar(line: Line): Bar {
  return {
    label: contenderName(line),
    colour: colours[line.target],
    value: line.deliveredPerSecond,
    lowest: line.lowest,
    highest: line.highest,
    text: whole(line.deliveredPerSecond) + (line.ratio === null ? "" : ` (relay ${line.ratio.toFixed(1)} x)`),
  };
}

function costBar(line: Line): Bar {
  const { cpuPerThousand: value } = line;
  return { label: contenderName(line), colour: colours[line.target], value, text: `${ms(value)} s` };
}

function memoryBars(line: Line): Bar[] {
  return line.peaks.slice(0, 3).map(({ name, processes, peakBytes }) => {
    const mebibytes = peakBytes / 2 ** 20;
    const text = `${whole(mebibytes)} MiB${processes > 1 ? ` (${processes} of them)` : ""}`;
    return { label: `${contenderName(line)}: ${name}`, colour: colours[line.target], value: mebibytes, text };
  });
}
