/** What a fault has shown: figures from the test to the table at the end of `npm run faults`. */
import type { TestCase, TestModule } from "vitest/node";
import type { Suite } from "./suites.ts";

declare module "vitest" {
  interface TaskMeta {
    shown?: Shown;
  }
}

type Shown = Readonly<{
  /** P1 to P4 of ARCHITECTURE.md. */
  promise: string;
  figures: Readonly<Record<string, number>>;
}>;

/**
 * Called by each test before it judges, so that the figures of a failure are seen too: `show(task, "P2, P3", { kills: 30 })`.
 * A control, which breaks the guard and must see the fault, names the promise that it would break.
 */
export function show(task: { meta: { shown?: Shown } }, promise: string, figures: Shown["figures"]): void {
  task.meta.shown = { promise, figures };
  console.log(`  ${textOf(figures)}`);
}

export function textOf(figures: Shown["figures"]): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value.toLocaleString("en")}`)
    .join(", ");
}

/** Rows of a Markdown table, one per test. */
export function tableOf(modules: readonly TestModule[], suites: readonly Suite[]): string {
  const rows = modules.flatMap((module) => {
    const suite = suites.find(({ files }) => files.includes(module.moduleId))?.name ?? module.moduleId;
    const tests = [...module.children.allTests()];
    // A file that could not even be loaded holds no test.
    return tests.length > 0 ? tests.map((test) => rowOf(suite, test)) : [[suite, "", "the suite itself", "", "FAILED"]];
  });
  return [["suite", "promise", "fault", "figures", "result"], Array(5).fill("---"), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");
}

function rowOf(suite: string, test: TestCase): string[] {
  const { shown } = test.meta();
  const result = test.result();
  const words = { passed: "held", failed: "VIOLATED", pending: "NOT RUN" };
  const said = result.state === "skipped" ? `left out: ${result.note ?? "no reason given"}` : words[result.state];
  return [suite, shown?.promise ?? "", test.name, shown === undefined ? "" : textOf(shown.figures), said];
}
