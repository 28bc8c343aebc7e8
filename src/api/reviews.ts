/** The operator's reviews of how a subaccount sends: asked, answered, decided. */
import { z } from "@hono/zod-openapi";
import type { Principal } from "../accounts/principal.ts";
import type { ReviewId } from "../platform/ids.ts";
import { answerReview } from "../reviews/answer.ts";
import { closeReview, openReview } from "../reviews/open.ts";
import { decisions, findReview, listReviews, type Review, reviewStates } from "../reviews/review.ts";
import type { Deps } from "./deps.ts";
import { type Endpoint, endpoint, everyone, operatorOnly } from "./endpoint.ts";
import { idField, idParams, instant, listOf, pageParams, showId, showInstant, shownId, text } from "./fields.ts";
import { someOf } from "./list-params.ts";
import { pagingOf } from "./paging.ts";

const tag = "Reviews";
const reading = { who: everyone, scopes: ["read"] } as const;
const words = text(5000).min(1);

const decision = z.enum(decisions, {
  error: ({ input }) =>
    input === undefined ? "This member is required." : `This must be one of: ${decisions.join(", ")}.`,
});

const reviewShape = z
  .strictObject({
    id: shownId("rev"),
    subaccount_id: shownId("sub"),
    state: z.enum(reviewStates),
    question: z.string(),
    hold: z.boolean().openapi({ description: "Mail is accepted and waits until the review is closed." }),
    told: z
      .enum(["subaccount", "master", "both"])
      .optional()
      .openapi({ description: "By the master's contact policy; the subaccount does not see it." }),
    answer: z.string().nullable(),
    answered_by: z.string().nullable(),
    answered_at: instant.nullable(),
    decision: z.enum(decisions).nullable(),
    note: z.string().nullable(),
    opened_at: instant,
    closed_at: instant.nullable(),
  })
  .openapi("Review");

const newReview = z
  .strictObject({
    subaccount_id: idField("sub"),
    question: words,
    hold: z.boolean().optional().openapi({ description: "Hold its queue until the review is closed." }),
  })
  .openapi("NewReview", {
    example: {
      subaccount_id: "sub_01kb2m5xj7e1fr0x4m4f6a0z3q",
      question: "Where do the addresses of your newsletter come from?",
      hold: true,
    },
  });

const one = { tag, params: idParams("rev"), status: 200, answer: reviewShape } as const;

export function reviewEndpoints(deps: Deps): Endpoint[] {
  const { clock } = deps;
  return [
    endpoint(
      {
        method: "post",
        path: "/v1/reviews",
        tag,
        summary: "Ask how a subaccount sends",
        description: "A letter goes to those whom the master's contact policy names for review.",
        access: { who: operatorOnly, scopes: [] },
        body: newReview,
        status: 201,
        answer: reviewShape,
        idempotent: true,
      },
      async ({ db, principal, body }) => {
        const { subaccount_id: subaccount, question, hold = false } = body;
        return { body: showReview(await openReview(db, principal, { subaccount, question, hold }, clock), principal) };
      },
    ),
    list(deps),
    endpoint(
      { ...one, method: "get", path: "/v1/reviews/{id}", summary: "One review", access: reading },
      async ({ db, principal, params }) => ({
        body: showReview(await findReview(db, principal, params.id), principal),
      }),
    ),
    endpoint(
      {
        ...one,
        method: "post",
        path: "/v1/reviews/{id}/answer",
        summary: "Answer it; until it is closed a later answer takes the place of an earlier",
        access: { who: ["master", "subaccount"], scopes: [] },
        body: z
          .strictObject({ answer: words })
          .openapi({ example: { answer: "Customers who asked for it: https://bakery.example/news" } }),
      },
      async ({ db, principal, params, body }) => ({
        body: showReview(await answerReview(db, principal, params.id, body.answer, clock), principal),
      }),
    ),
    endpoint(
      {
        ...one,
        method: "post",
        path: "/v1/reviews/{id}/close",
        summary: "Decide: release what it holds, or suspend the subaccount",
        access: { who: operatorOnly, scopes: [] },
        body: z
          .strictObject({ decision, note: words.nullable().optional() })
          .openapi({ example: { decision: "release", note: "Sign-ups are confirmed." } }),
      },
      async ({ db, principal, params, body }) => {
        const review = await closeReview(db, principal, params.id, body, clock);
        return { body: showReview(review, principal), changed: [{ kind: "subaccount", id: review.subaccountId }] };
      },
    ),
  ];
}

function list(deps: Deps): Endpoint {
  return endpoint(
    {
      method: "get",
      path: "/v1/reviews",
      tag,
      summary: "Reviews, newest first",
      access: reading,
      query: z.strictObject({
        state: someOf(reviewStates).optional(),
        subaccount_id: idField("sub").optional(),
        master_id: idField("mas").optional().openapi({ description: "The operator's choice." }),
        ...pageParams,
      }),
      status: 200,
      answer: listOf(reviewShape),
    },
    async (call) => {
      const { limit, after, page } = pagingOf(deps, call);
      const { state: states, subaccount_id: subaccountId, master_id: masterId } = call.query;
      const filter = { states, subaccountId, masterId, after: after?.[0] as ReviewId | undefined, limit };
      const rows = await listReviews(call.db, call.principal, filter);
      return {
        body: page(
          rows,
          (review) => showReview(review, call.principal),
          ({ id }) => [id],
        ),
      };
    },
  );
}

function showReview(review: Review, { kind }: Principal): z.output<typeof reviewShape> {
  const { state, question, hold, told, answer, decision, note } = review;
  // To the subaccount its master is nobody with an id.
  const by = kind === "subaccount" && review.answeredBy?.startsWith("mas_") ? "master" : review.answeredBy;
  return {
    id: showId("rev", review.id),
    subaccount_id: showId("sub", review.subaccountId),
    ...{ state, question, hold, answer, decision, note },
    ...(kind === "subaccount" ? {} : { told }),
    answered_by: by,
    answered_at: showInstant(review.answeredAt),
    opened_at: showInstant(review.openedAt),
    closed_at: showInstant(review.closedAt),
  };
}
