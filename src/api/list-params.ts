/** Parameters of lists that can be searched, filtered and sorted. */
import { z } from "@hono/zod-openapi";
import { parseSort, type Sort } from "../accounts/sort.ts";
import { line, pageParams } from "./fields.ts";

/** `-used_percent,name` */
export function sortParam<Name extends string>(names: readonly Name[]) {
  return z
    .string()
    .max(200)
    .transform((text, context): Sort<Name>[] => {
      const sorts = parseSort(text, names);
      if (sorts !== undefined) return sorts;
      context.addIssue({
        code: "custom",
        message: `Sort by up to three of: ${names.join(", ")}; a minus turns one round.`,
      });
      return z.NEVER;
    })
    .openapi({ type: "string", example: `-${names[0]}`, description: `Up to three of: ${names.join(", ")}.` });
}

/** `active,closed` */
export function someOf<Name extends string>(names: readonly Name[]) {
  return z
    .string()
    .max(200)
    .transform((text, context): Name[] => {
      const chosen = text.split(",") as Name[];
      if (chosen.every((name) => names.includes(name))) return chosen;
      context.addIssue({ code: "custom", message: `This is one or more of: ${names.join(", ")}.` });
      return z.NEVER;
    })
    .openapi({
      type: "string",
      example: names.slice(0, 2).join(","),
      description: `One or more of: ${names.join(", ")}.`,
    });
}

/** A number of at least 0, with decimals. */
export function numberParam(max: number) {
  return z
    .string()
    .regex(/^\d{1,13}(?:\.\d{1,6})?$/, "This is not a number.")
    .transform(Number)
    .refine((value) => value <= max, `This is at most ${max}.`)
    .openapi({ type: "number", minimum: 0, maximum: max });
}

export const flagParam = z
  .enum(["true", "false"])
  .transform((value) => value === "true")
  .openapi({ type: "boolean" });

export const searchParams = {
  q: line(200).optional().openapi({ description: "A part of what it is known by." }),
  ...pageParams,
};
