/** Answers as text for people: aligned columns, nothing that needs a terminal. */

export type Cell = string | number | boolean | Date | null | undefined;

/** A header and rows; numbers stand to the right. */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[], none = "none"): string {
  if (rows.length === 0) return none;
  const texts = [header, ...rows.map((row) => row.map(shown))];
  const widths = header.map((_, i) => Math.max(...texts.map((row) => width(row[i] ?? ""))));
  const right = header.map((_, i) => rows.every((row) => typeof row[i] === "number" || row[i] == null));
  return texts
    .map((row) =>
      row
        .map((text, i) => pad(text, widths[i] ?? 0, right[i] === true))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** One thing, member by member. What is undefined is left out. */
export function facts(members: Readonly<Record<string, Cell>>): string {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined);
  const widest = Math.max(0, ...entries.map(([name]) => name.length));
  return entries.map(([name, value]) => `${name.padEnd(widest)}  ${shown(value)}`.trimEnd()).join("\n");
}

/** 2026-11-22 09:30:00Z */
export function instant(at: Date): string {
  return `${at.toISOString().slice(0, 19).replace("T", " ")}Z`;
}

// Other people's text must not move the cursor or colour the terminal.
const CONTROL = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

function shown(value: Cell): string {
  if (value === null || value === undefined) return "-";
  if (value instanceof Date) return instant(value);
  return String(value).replace(CONTROL, "\ufffd");
}

function width(text: string): number {
  return [...text].length;
}

function pad(text: string, to: number, right: boolean): string {
  const blanks = " ".repeat(Math.max(0, to - width(text)));
  return right ? blanks + text : text + blanks;
}
