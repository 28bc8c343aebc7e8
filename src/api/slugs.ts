/** Whether a slug can still be had. */
import { z } from "@hono/zod-openapi";
import { slug } from "../accounts/fields.ts";
import { checkSlug } from "../accounts/slug.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, owners } from "./endpoint.ts";
import { ruled } from "./fields.ts";

const slugShape = z
  .strictObject({
    slug: z.string(),
    available: z.boolean(),
    suggestion: z.string().openapi({ description: "Itself where it is available, else one that is." }),
  })
  .openapi("SlugAvailability", { example: { slug: "corner-shop", available: false, suggestion: "corner-shop-2" } });

export function slugEndpoints(_: Deps): Endpoint[] {
  return [
    endpoint(
      {
        method: "get",
        path: "/v1/slugs/{slug}",
        tag: "Subaccounts",
        summary: "Whether a slug is available",
        description: "It is not reserved: only the subaccount that is created with it holds it.",
        access: { who: owners, scopes: ["read"] },
        params: z.object({ slug: ruled(z.string(), slug).openapi({ example: "corner-shop" }) }),
        status: 200,
        answer: slugShape,
      },
      async ({ db, params }) => ({ body: { slug: params.slug, ...(await checkSlug(db, params.slug)) } }),
    ),
  ];
}
