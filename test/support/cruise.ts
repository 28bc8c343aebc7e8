/** Reads all imports of a folder `src` and holds them against the rules. */
import { Visitor } from "@swc/core/Visitor.js";
import { cruise, type ICruiseResult } from "dependency-cruiser";
import { ruleSet } from "../../config/dependency-cruiser.mjs";

teachWalk();

export async function cruised(baseDir: string): Promise<ICruiseResult> {
  const { output } = await cruise(
    ["src"],
    { baseDir, validate: true, ruleSet, parser: "swc", doNotFollow: { path: "node_modules" } },
    {
      extensions: [".ts", ".mjs", ".js", ".json"],
      conditionNames: ["node", "import", "default"],
      exportsFields: ["exports"],
    },
  );
  return output as ICruiseResult;
}

/** `rule: from -> to`, one for each violation. */
export function violations(result: ICruiseResult): string[] {
  return result.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`);
}

/**
 * The tool relies on a walk over what the parser found. This makes it pass over `import type`, which does nothing when the program
 * runs, and go into `using` declarations, at which it would throw.
 */
function teachWalk(): void {
  const walk = Visitor.prototype as unknown as Record<string, (node: Node) => Node>;
  const { visitModuleItem, visitStatement } = walk;
  walk.visitModuleItem = function (this: typeof walk, node) {
    return node.type === "ImportDeclaration" && node.typeOnly ? node : visitModuleItem!.call(this, node);
  };
  walk.visitStatement = function (this: typeof walk, node) {
    if (node.type !== "UsingDeclaration") return visitStatement!.call(this, node);
    for (const declared of node.decls ?? []) if (declared.init) this.visitExpression!(declared.init);
    return node;
  };
}

type Node = { type: string; typeOnly?: boolean; decls?: { init?: Node | null }[] };
