/** What a subject of the growth bench found: figures beside their goals, and the curves behind them. */

/** Exactly one of the two is set. */
export type Goal = Readonly<{ atMost: number; atLeast?: undefined } | { atLeast: number; atMost?: undefined }>;

export type Figure = Readonly<{
  what: string;
  seen: number;
  unit: string; // "ms", "/s", "x", "%" ...
  goal: Goal | null; // null: shown for its own sake
  note?: string;
}>;

export type Growth = Readonly<{
  title: string;
  x: string;
  unit: string; // of the values
  lines: readonly Readonly<{ name: string; points: readonly (readonly [x: number, value: number])[] }>[];
}>;

/** `problems`: messages lost, doubled or miscounted, and what failed. */
export type Found = Readonly<{ figures: readonly Figure[]; curves: readonly Growth[]; problems: readonly string[] }>;

export type Subject = Readonly<{ name: string; found: Found; seconds: number }>;

export function goalText({ goal, unit }: Figure): string {
  if (goal === null) return "";
  return goal.atMost !== undefined ? `<= ${plain(goal.atMost)} ${unit}` : `>= ${plain(goal.atLeast)} ${unit}`;
}

/** "reached", or by how much it is missed; empty without a goal. */
export function verdictOf({ goal, seen }: Figure): string {
  if (goal === null) return "";
  const missedBy = goal.atMost !== undefined ? seen / goal.atMost - 1 : 1 - seen / goal.atLeast;
  if (Number.isNaN(missedBy)) return "not measured";
  return missedBy <= 0 ? "reached" : `missed by ${(missedBy * 100).toFixed(0)} %`;
}

export function plain(value: number): string {
  if (Number.isNaN(value)) return "-";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return Number(value.toFixed(digits)).toLocaleString("en-US");
}

export function renderFigures(subjects: readonly Subject[]): string {
  const rows = subjects.flatMap(({ name, found }) =>
    found.figures.map((figure) => [
      name,
      figure.what,
      goalText(figure),
      `${plain(figure.seen)} ${figure.unit}`,
      [verdictOf(figure), figure.note ?? ""].filter((part) => part !== "").join("; "),
    ]),
  );
  const head = ["subject", "figure", "goal", "seen", ""];
  const widths = head.map((title, n) => Math.max(title.length, ...rows.map((row) => row[n]!.length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, n) => (n === 3 ? cell.padStart(widths[n]!) : cell.padEnd(widths[n]!))).join("  ");
  const problems = subjects.flatMap(({ name, found }) => found.problems.map((problem) => `  ${name}: ${problem}`));
  const end = problems.length === 0 ? ["Every message is accounted for."] : ["NOT ALL IS ACCOUNTED FOR:", ...problems];
  return [line(head), ...rows.map(line), "", ...end].map((text) => text.trimEnd()).join("\n");
}
