/** How notices of end dates are told: page by page, each in a transaction of its own. */

export const NOTICE_DAYS = [14, 7, 1] as const;
export const NOTICE_PAGE = 200;

/**
 * @param read at most NOTICE_PAGE of them after that id, in order of their ids
 * @param tell false: another run has told it, or the date has changed meanwhile
 * @returns how many were told. @throws AggregateError when some could not be, after all others were
 */
export async function tellDue<Id extends string, Due extends Readonly<{ id: Id }>>(
  read: (after: Id | null) => Promise<readonly Due[]>,
  tell: (due: Due) => Promise<boolean>,
): Promise<number> {
  const failures: unknown[] = [];
  let told = 0;
  let after: Id | null = null;
  for (;;) {
    const rows: readonly Due[] = await read(after);
    for (const due of rows) {
      try {
        if (await tell(due)) told += 1;
      } catch (error) {
        failures.push(error);
      }
    }
    const last = rows.at(-1);
    if (rows.length === NOTICE_PAGE && last !== undefined) after = last.id;
    else if (failures.length === 0) return told;
    else throw new AggregateError(failures, `${failures.length} notices of end dates could not be told`);
  }
}
