/** How imports and bulk changes are shown: what is planned, how far they are, what came of each row. */
import { z } from "@hono/zod-openapi";
import type { Item } from "../bulk/items.ts";
import { plannedCounts, type Run } from "../bulk/runs.ts";
import { instant, showId, showInstant, shownId } from "./fields.ts";

const count = z.int().openapi({ example: 0 });
const actions = ["create", "change", "same", "error"] as const;
const members = z.record(z.string(), z.unknown()).nullable();

/** What both have in common. */
export const runMembers = {
  state: z
    .enum(["receiving", "previewed", "running", "done", "stopped"])
    .openapi({ description: "`previewed`: a plan that can be started." }),
  total: z.int(),
  done: z.int().openapi({ description: "Of the total; each row once." }),
  planned: z.strictObject({ create: count, change: count, same: count, error: count }),
  created: count,
  changed: count,
  unchanged: count,
  skipped: count,
  failed: count,
  detail: z.string().nullable().openapi({ description: "Why it stopped." }),
  created_at: instant,
  finished_at: instant.nullable(),
};

const lineError = z.strictObject({ column: z.string().nullable(), detail: z.string() });

const itemMembers = {
  n: z.int().openapi({ description: "Its place in the order of work." }),
  subaccount_id: shownId("sub").nullable().openapi({ description: "Null: it is not there yet." }),
  action: z.enum(actions).openapi({ description: "What is planned." }),
  before: members.openapi({ description: "Only what changes." }),
  after: members,
  outcome: z.enum(["created", "changed", "unchanged", "skipped", "failed"]).nullable(),
  errors: z.array(lineError),
};
export const changeItemShape = z.strictObject(itemMembers).openapi("BulkChangeRow");
export const importItemShape = z
  .strictObject({ line: z.int().openapi({ description: "Of the file." }), ...itemMembers })
  .openapi("ImportRow");

export function showRun(run: Run) {
  const { state, total, done, created, changed, unchanged, skipped, failed, detail, planned } = run;
  const counts = Object.fromEntries(plannedCounts.map((name) => [name, planned[name] ?? 0])) as Record<
    (typeof plannedCounts)[number],
    number
  >;
  return {
    ...{ state, total, done, planned: counts, created, changed, unchanged, skipped, failed, detail },
    created_at: showInstant(run.createdAt),
    finished_at: showInstant(run.finishedAt),
  };
}

export function showChangeItem(item: Item): z.output<typeof changeItemShape> {
  const { n, before, after, outcome, errors, planned: action } = item;
  return {
    n,
    subaccount_id: showId("sub", item.subaccountId),
    action,
    before: before === null ? null : { ...before },
    after: after === null ? null : { ...after },
    outcome,
    errors: errors.map(({ column, detail }) => ({ column, detail })),
  };
}

export function showImportItem(item: Item): z.output<typeof importItemShape> {
  return { line: item.line ?? 0, ...showChangeItem(item) };
}
