/** The report as text. */
import type { Scenario } from "./round.ts";

import type { Line, Report } from "./summary.ts";
import { contenderName } from "./target.ts";

export function scenarioName({ sizeBytes, sessions, keep }: Scenario): string {
  const size = sizeBytes % 1024 === 0 ? `${sizeBytes / 1024} KiB` : `${sizeBytes} bytes`;
  return `${size}, ${sessions} ${sessions === 1 ? "session" : "sessions"}, ${keep ? "kept" : "one message per connection"}`;
}

const columns: readonly (readonly [title: string, cell: (line: Line) => string])[] = [
  ["target", contenderName],
  ["accepted/s", (line) => whole(line.acceptedPerSecond)],
  ["delivered/s", (line) => whole(line.deliveredPerSecond)],
  ["lowest-highest", (line) => `${whole(line.lowest)}-${whole(line.highest)}`],
  ["dot to 250 p50/p99 ms", (line) => `${ms(line.dot.p50)} / ${ms(line.dot.p99)}`],
  ["MAIL to 250 p50/p99 ms", (line) => `${ms(line.mail.p50)} / ${ms(line.mail.p99)}`],
  ["CPU s/1,000", cpu],
  ["relay is", (line) => (line.ratio === null ? "" : `${line.ratio.toFixed(1)} x`)],
  ["peak MiB per process", (line) => line.peaks.slice(0, 3).map(peak).join(", ")],
];

export function renderTable(report: Report): string {
  const head = columns.map(([title]) => title);
  const rows = report.lines.map((line) => columns.map(([, cell]) => cell(line)));
  const widths = head.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]!.length)));
  const last = head.length - 1;
  const pad = (cells: readonly string[]): string =>
    cells
      .map((cell, n) => (n === 0 || n === last ? cell.padEnd(widths[n]!) : cell.padStart(widths[n]!)))
      .join("  ")
      .trimEnd();
  const text: string[] = report.machine.map(([name, value]) => `${name.padEnd(10)}  ${value}`);
  for (const { name, about } of report.targets) text.push(`${name.padEnd(13)}  ${about}`);
  text.push("", pad(head));
  let scenario = "";
  for (const [n, line] of report.lines.entries()) {
    const name = scenarioName(line.scenario);
    if (name !== scenario) text.push("", name);
    scenario = name;
    text.push(pad(rows[n]!));
  }
  text.push("", ...verdict(report.problems));
  return text.join("\n");
}

export function verdict(problems: readonly string[]): string[] {
  if (problems.length === 0) return ["Every message accepted was delivered once and counted once."];
  return ["NOT ALL IS ACCOUNTED FOR:", ...problems.map((problem) => `  ${problem}`)];
}

export function whole(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

export function ms(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function cpu({ cpuPerThousand, cpuShares }: Line): string {
  const shares = cpuShares.map(({ name, seconds }) => `${name} ${seconds.toFixed(2)}`);
  return cpuPerThousand.toFixed(2) + (shares.length > 1 ? ` (${shares.join(", ")})` : "");
}

function peak({ name, processes, peakBytes }: Line["peaks"][number]): string {
  return `${name}${processes > 1 ? ` (${processes})` : ""} ${Math.ceil(peakBytes / 2 ** 20)}`;
}
