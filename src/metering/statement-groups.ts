/**
 * A statement by billing profile, for masters who keep the bills of their subaccounts apart.
 *
 * Invariant: each line is in one group; lines sum to their group, and groups to the statement, in each figure.
 */
import { Fault } from "../platform/errors.ts";
import {
  addFigures,
  NO_FIGURES,
  type Statement,
  type StatementFigures,
  type StatementLine,
  type StatementProfile,
} from "./statement.ts";

export type StatementGroup = StatementFigures &
  Readonly<{
    /** Null: those of no profile. */
    name: string | null;
    /** Null: of none, or the name is a label. */
    profile: StatementProfile | null;
    lines: readonly StatementLine[];
  }>;

/** In the order of the names, those without one last. */
export function groupLines({ lines, profiles }: Pick<Statement, "lines" | "profiles">): StatementGroup[] {
  const byName = Map.groupBy(lines, ({ billingProfile }) => billingProfile);
  const known = new Map(profiles.map((profile) => [profile.name, profile]));
  return [...byName]
    .sort(([a], [b]) => (b === null || (a !== null && a < b) ? -1 : 1))
    .map(([name, own]) => {
      const profile = name === null ? null : (known.get(name) ?? null);
      return { name, profile, lines: own, ...own.reduce(addFigures, NO_FIGURES) };
    });
}

/**
 * The sheet of one profile: its lines, and their sums as the figures. Allowance, cap, number and hashes stay those of the whole, and
 * what the operator asks of the master stands on none.
 * @param name null: the lines of no profile
 * @throws Fault not-found where no line stands under it
 */
export function onlyProfile(statement: Statement, name: string | null): Statement {
  const group = groupLines(statement).find((one) => one.name === name);
  if (group === undefined) throw new Fault("not-found", "No line of this statement stands under that billing profile.");
  const { lines, profile } = group;
  const sums = group.lines.reduce(addFigures, NO_FIGURES);
  return { ...statement, ...sums, price: null, lines, profiles: profile ? [profile] : [] };
}
