/** The report of a soak as one HTML page that needs nothing else: four plots over one axis of time, faults marked. */
import { escapeText } from "../bench/svg.ts";
import type { Sample } from "./judge.ts";
import type { Fault, Outcome } from "./soak.ts";

type Series = Readonly<{ group: string; read: (sample: Sample) => number }>;
type Plot = Readonly<{ title: string; unit: string; series: readonly Series[]; logarithmic?: true }>;

const plots: readonly Plot[] = [
  {
    title: "Resident memory of the node that lives through all",
    unit: "MB",
    series: [{ group: "memory", read: (s) => s.rssMb }],
  },
  { title: "Its open descriptors", unit: "", series: [{ group: "descriptors", read: (s) => s.descriptors }] },
  { title: "Messages in the queue", unit: "", series: [{ group: "queue", read: (s) => s.queue }] },
  {
    title: "From the final dot to the 250: p50 (thin) and p99, logarithmic",
    unit: "ms",
    logarithmic: true,
    series: [
      { group: "p50", read: (s) => s.p50Ms },
      { group: "p99", read: (s) => s.p99Ms },
    ],
  },
];

const style = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --paper: #fff; --rule: #d5dae3; --line: #0b6e6e; --fault: #d08700 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --paper: #12161d; --rule: #2c3440; --line: #2cb5b5 } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 920px; margin: 2.5rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 } h2 { font-size: 1rem; margin: 1.6rem 0 .3rem }
p, dl, li { color: var(--soft) } dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem; font-size: .87rem } dd { margin: 0 }
svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif } svg text { fill: var(--ink); font-variant-numeric: tabular-nums }
.curve { fill: none; stroke: var(--line); stroke-width: 2 } .p50 { stroke-width: 1 } .grid { stroke: var(--rule) }
.fault { stroke: var(--fault); stroke-width: 1; stroke-dasharray: 2 3 } ol { columns: 2; font-size: .87rem }
.good { color: var(--line) } .bad { color: #c0392b; font-weight: 600; white-space: pre-line }
`;

export function renderPage(outcome: Outcome, about: Readonly<Record<string, string>>): string {
  const { samples, faults, figures, violations } = outcome;
  const good = violations.length === 0;
  const facts = [
    ...Object.entries(about),
    ...Object.entries(figures).map(([name, n]) => [name, n.toLocaleString("en")]),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Postmeter soak</title><style>${style}</style></head><body>
<h1>Postmeter soak</h1>
<p class="${good ? "good" : "bad"}">${escapeText(good ? "All held: memory and descriptors flat, the queue drained, the books right." : violations.join("\n"))}</p>
<dl>${facts.map(([name = "", value = ""]) => `<dt>${escapeText(name)}</dt><dd>${escapeText(value)}</dd>`).join("")}</dl>
${plots.map((plot) => `<h2>${plot.title}</h2>${draw(plot, samples, faults)}`).join("\n")}
<h2>Faults, the dotted lines</h2>
<ol>${faults.map(({ seconds, name }) => `<li>${seconds.toFixed(0)} s: ${escapeText(name)}</li>`).join("")}</ol>
</body></html>
`;
}

const width = 860;
const height = 150;
const left = 64;
const bottom = height - 20;

/** Gaps stay gaps: what could not be asked is not drawn. */
export function draw(plot: Plot, samples: readonly Sample[], faults: readonly Fault[]): string {
  const end = Math.max(1, ...samples.map(({ seconds }) => seconds));
  const values = plot.series.flatMap(({ read }) => samples.map(read)).filter((value) => !Number.isNaN(value));
  const top = scaleTop(Math.max(1, ...values), plot.logarithmic);
  const share = (value: number) => (plot.logarithmic ? Math.log10(Math.max(value, 1)) / Math.log10(top) : value / top);
  const x = (seconds: number) => (left + (seconds / end) * (width - left - 12)).toFixed(1);
  const y = (value: number) => (bottom - share(value) * (bottom - 10)).toFixed(1);
  const grid = ticksOf(top, plot.logarithmic).map(
    (value) =>
      `<path class="grid" d="M${left} ${y(value)}H${width - 12}"/><text x="${left - 8}" y="${Number(y(value)) + 4}" text-anchor="end">${value} ${plot.unit}</text>`,
  );
  const times = [0, 0.25, 0.5, 0.75, 1].map(
    (part) => `<text x="${x(part * end)}" y="${height - 4}" text-anchor="middle">${timeOf(part * end)}</text>`,
  );
  const marks = faults.map(
    ({ seconds, name }) =>
      `<path class="fault" d="M${x(seconds)} 4V${bottom}"><title>${escapeText(name)}</title></path>`,
  );
  const curves = plot.series.map(({ group, read }) => {
    let pen = "M";
    const path = samples.map((sample) => {
      const value = read(sample);
      const step = Number.isNaN(value) ? "" : `${pen}${x(sample.seconds)} ${y(value)}`;
      pen = Number.isNaN(value) ? "M" : "L";
      return step;
    });
    return `<path class="curve ${group}" d="${path.join("")}"/>`;
  });
  const inside = [...grid, ...times, ...marks, ...curves].join("");
  return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${plot.title}">${inside}</svg>`;
}

function scaleTop(largest: number, logarithmic: true | undefined): number {
  const decade = 10 ** Math.ceil(Math.log10(largest));
  if (logarithmic) return Math.max(10, decade);
  return [decade / 5, decade / 2, decade].find((top) => top >= largest) ?? decade;
}

function ticksOf(top: number, logarithmic: true | undefined): number[] {
  if (!logarithmic) return [0, top / 2, top];
  return Array.from({ length: Math.round(Math.log10(top)) + 1 }, (_, n) => 10 ** n);
}

function timeOf(seconds: number): string {
  return seconds < 120 ? `${seconds.toFixed(0)} s` : `${(seconds / 60).toFixed(1)} min`;
}
