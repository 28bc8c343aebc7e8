/** Reads a value by a schema, or says what is wrong with each member. */
import type { z } from "@hono/zod-openapi";
import { type Mistake, Problem } from "./problem.ts";

/** @throws Problem invalid, with one pointer per wrong member. */
export function read<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const mistakes = result.error.issues.flatMap((issue) => mistakesOf(issue, value));
  const [first] = mistakes;
  const where = first?.pointer === undefined || first.pointer === "" ? "" : `${first.pointer.slice(1)}: `;
  throw new Problem("invalid", `${where}${first?.detail ?? "The request is not valid."}`, { mistakes });
}

/** RFC 6901: `~` and `/` inside a member's name are escaped. */
export function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

function mistakesOf(issue: z.core.$ZodIssue, value: unknown): Mistake[] {
  const at = (path: readonly PropertyKey[], detail: string): Mistake => ({ pointer: pointerOf(path), detail });
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => at([...issue.path, key], "There is no such member."));
  }
  if (isMissing(issue.path, value)) {
    return [at(issue.path, "This member is required.")];
  }
  return [at(issue.path, issue.message.replace(/^Invalid input: e/, "E"))];
}

/** The last step of the path leads to a member that an object does not have. */
function isMissing(path: readonly PropertyKey[], value: unknown): boolean {
  let at = value;
  for (const step of path.slice(0, -1)) at = (at as Record<PropertyKey, unknown> | undefined)?.[step];
  const last = path.at(-1);
  return last !== undefined && typeof at === "object" && at !== null && !Array.isArray(at) && !Object.hasOwn(at, last);
}
