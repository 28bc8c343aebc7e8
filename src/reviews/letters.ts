/**
 * The job `review_letter` ({review_id, about}): tells those whom the contact policy names that a review was opened or closed.
 *
 * Invariant: each letter is in the spool exactly once: it is marked in the transaction that puts it there, under a lock on the review.
 * On failure: nothing is stored; the job is tried again.
 */
import { zoneAt } from "../accounts/calendar.ts";
import { findMaster, findSubaccount } from "../accounts/find.ts";
import type { Operator } from "../accounts/principal.ts";
import { contactsOf } from "../letters/contacts.ts";
import { type InLanguages, inLanguage, type Reader } from "../letters/language.ts";
import type { Letter } from "../letters/letter.ts";
import { type LetterDeps, sendLetter } from "../letters/send.ts";
import type { Db } from "../platform/database.ts";
import type { ReviewId } from "../platform/ids.ts";
import { type Review, reviewOf } from "./review.ts";

type Payload = Readonly<{ review_id: ReviewId; about: "opening" | "closing" }>;

const house: Operator = { kind: "operator", via: "cli" };

export async function mailReview(db: Db, payload: unknown, deps: LetterDeps): Promise<void> {
  const { review_id: id, about } = payload as Payload;
  const marked = about === "opening" ? "opening_mailed_at" : "closing_mailed_at";
  await db.transaction().execute(async (trx) => {
    const row = await trx
      .selectFrom("review")
      .selectAll()
      .where("id", "=", id)
      .where(marked, "is", null)
      .forUpdate()
      .executeTakeFirst();
    if (row === undefined) return;
    await send(trx, reviewOf(row), about, deps);
    await trx
      .updateTable("review")
      .set({ [marked]: deps.clock.now() })
      .where("id", "=", id)
      .execute();
  });
}

async function send(trx: Db, review: Review, about: Payload["about"], deps: LetterDeps): Promise<void> {
  const master = await findMaster(trx, house, review.masterId, deps.clock);
  const subaccount = await findSubaccount(trx, house, review.subaccountId, deps.clock);
  const side = {
    ...master,
    contactPolicy: { review: review.told },
    timeZone: zoneAt(master.calendar, deps.clock.now()),
  };
  for (const { side: who, to, reader } of contactsOf("review", side, subaccount)) {
    const of = { masterId: master.id, subaccountId: who === "subaccount" ? subaccount.id : null };
    // Its name is what its master calls it: to itself it is its slug.
    const name = who === "master" ? subaccount.name : subaccount.slug;
    const write = (reads: Reader, origin: string) => letterOf(review, about, name, reads, origin);
    await sendLetter(trx, { of, to, reader, write }, deps);
  }
}

type Words = Readonly<{
  opening: (name: string) => string;
  closing: (name: string) => string;
  account: string;
  question: string;
  held: string;
  please: string;
  released: string;
  suspended: string;
  label: string;
  why: string;
}>;

const texts: InLanguages<Words> = {
  en: {
    opening: (name) => `A question about the mail that ${name} sends`,
    closing: (name) => `The question about the mail of ${name} is closed`,
    account: "Account",
    question: "We would like to know:",
    held: "Until it is answered and closed, mail of this account is accepted and waits; it is not delivered.",
    please: "Please answer in the portal or by the API.",
    released: "Thank you. Nothing is held for it any more.",
    suspended: "The account has been suspended.",
    label: "Answer",
    why: "You get this as a contact for questions about sending.",
  },
  de: {
    opening: (name) => `Eine Frage zu den Mails von ${name}`,
    closing: (name) => `Die Frage zu den Mails von ${name} ist erledigt`,
    account: "Konto",
    question: "Wir möchten gerne wissen:",
    held: "Bis sie beantwortet und erledigt ist, werden Mails dieses Kontos angenommen und zurückgehalten, aber nicht zugestellt.",
    please: "Bitte antworten Sie im Portal oder über die API.",
    released: "Vielen Dank. Ihretwegen wird nichts mehr zurückgehalten.",
    suspended: "Das Konto wurde gesperrt.",
    label: "Antworten",
    why: "Sie erhalten diese Nachricht als Ansprechpartner für Fragen zum Versand.",
  },
};

function letterOf(review: Review, about: Payload["about"], name: string, reader: Reader, origin: string): Letter {
  const words = inLanguage(texts, reader.language);
  const facts = [[words.account, name]] as const;
  const action = { label: words.label, href: `${origin}/docs` };
  const { why } = words;
  if (about === "closing") {
    const outcome = review.decision === "suspend" ? words.suspended : words.released;
    const paragraphs = [outcome, ...(review.note === null ? [] : [review.note])];
    return { subject: words.closing(name), headline: words.closing(name), facts, paragraphs, why };
  }
  const paragraphs = [words.question, review.question, ...(review.hold ? [words.held] : []), words.please];
  return { subject: words.opening(name), headline: words.opening(name), facts, paragraphs, action, why };
}
