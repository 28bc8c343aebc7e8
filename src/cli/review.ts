/** `postmeter review`: questions to subaccounts about how they send. */
import type { Command } from "commander";
import { formatId, type MasterId, type ReviewId, type SubaccountId } from "../platform/ids.ts";
import { closeReview, openReview } from "../reviews/open.ts";
import { decisions, findReview, listReviews, type Review, type ReviewState, reviewStates } from "../reviews/review.ts";
import * as input from "./input.ts";
import { facts, table } from "./layout.ts";
import { operator } from "./session.ts";
import { page, shape } from "./shape.ts";
import { type Cli, group, type Options, runWith, type Shown, verb } from "./verb.ts";

const anId = "rev_01kb2m5xj7e1fr0x4m4f6a0z3q";
const aSubaccount = "sub_01kb2m5xj7e1fr0x4m4f6a0z3q";

export function addReviewCommands(program: Command, cli: Cli): void {
  const review = group(program, "review", "questions to subaccounts about how they send");
  addList(review, cli);
  verb(review, "show", "one review with its answer", [`review show ${anId}`])
    .argument("<id>", "rev_...", input.idOf("rev"))
    .action((id: ReviewId, options: Options) =>
      runWith(cli, options, async ({ db }) => shownReview(await findReview(db, operator, id))),
    );
  addOpen(review, cli);
  for (const decision of decisions) {
    const summary =
      decision === "release" ? "close it, and let go what it holds" : "close it, and suspend the subaccount";
    verb(review, decision, summary, [`review ${decision} ${anId} --note "Thank you"`])
      .argument("<id>", "rev_...", input.idOf("rev"))
      .option("--note <text>", "told with the decision")
      .action((id: ReviewId, { note, ...options }: Options & { note?: string }) =>
        runWith(cli, options, async ({ db, clock, publish }) => {
          const closed = await closeReview(db, operator, id, { decision, note }, clock);
          await publish(closed.subaccountId);
          return shownReview(closed);
        }),
      );
  }
}

type ListOptions = Options & { master?: MasterId; subaccount?: SubaccountId; state?: ReviewState[]; limit: number };

function addList(review: Command, cli: Cli): void {
  verb(review, "list", "reviews, newest first", ["review list --state open,answered"])
    .option("--master <id>", "of one master", input.idOf("mas"))
    .option("--subaccount <id>", "of one subaccount", input.idOf("sub"))
    .option("--state <states>", reviewStates.join(", "), input.listOf(reviewStates))
    .option("--limit <n>", "how many at most", input.rows, 100)
    .action(({ master, subaccount, state, limit, ...options }: ListOptions) =>
      runWith(cli, options, async ({ db }) => {
        const filter = { masterId: master, subaccountId: subaccount, states: state, limit };
        const { items, more } = page(await listReviews(db, operator, filter), limit);
        const rows = items.map((one) => [
          formatId("rev", one.id),
          formatId("sub", one.subaccountId),
          one.state,
          one.hold && one.state !== "closed" ? "held" : "",
          one.openedAt,
        ]);
        return {
          json: { data: items.map((one) => shape(one, "rev")), has_more: more },
          text: table(["id", "subaccount", "state", "queue", "opened"], rows, "There is no such review."),
        };
      }),
    );
}

function addOpen(review: Command, cli: Cli): void {
  verb(review, "open", "ask; a letter goes to those whom the master's contact policy names", [
    `review open ${aSubaccount} --question "Where do the addresses come from?" --hold`,
  ])
    .argument("<subaccount>", "sub_...", input.idOf("sub"))
    .requiredOption("--question <text>", "what you want to know")
    .option("--hold", "go on accepting its mail, deliver none of it until the review is closed")
    .action(
      (
        subaccount: SubaccountId,
        { question, hold = false, ...options }: Options & { question: string; hold?: boolean },
      ) =>
        runWith(cli, options, async ({ db, clock }) =>
          shownReview(await openReview(db, operator, { subaccount, question, hold }, clock)),
        ),
    );
}

function shownReview(review: Review): Shown {
  const text = facts({
    id: formatId("rev", review.id),
    subaccount: formatId("sub", review.subaccountId),
    state: review.state,
    asked: review.openedAt,
    told: review.told,
    queue: review.hold && review.state !== "closed" ? "held" : undefined,
    question: review.question,
    answer: review.answer ?? undefined,
    "answered by": review.answeredBy ?? undefined,
    decision: review.decision ?? undefined,
    note: review.note ?? undefined,
  });
  return { json: shape(review, "rev"), text };
}
