/** Rows a thousand at a time: statements of masters with very many lines are made in the process in which mail waits. */
export const PAGE = 1000;

export function* pagesOf<T>(rows: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < rows.length; from += PAGE) yield rows.slice(from, from + PAGE);
}
