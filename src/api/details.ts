/** Members between their names at this door (columns, snake_case) and their names inside. */
import type { Fields } from "../accounts/fields.ts";

type Columns<F extends Fields> = { [K in keyof F as F[K]["column"]]: K };

/** A body's members by their names inside; members that are not there stay away. */
export function detailsOf<F extends Fields, B extends { [C in keyof Columns<F>]?: unknown }>(fields: F, body: B) {
  const entries = Object.entries(fields).filter(([, { column }]) => column in body);
  return Object.fromEntries(entries.map(([name, { column }]) => [name, body[column as keyof B]])) as {
    [K in keyof F]?: F[K]["column"] extends keyof B ? B[F[K]["column"]] : undefined;
  };
}
