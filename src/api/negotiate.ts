/** Picks a representation by the Accept header (RFC 9110 section 12.5.1). */
import { Problem } from "./problem.ts";

/** The first of `types` that is wanted most. @throws Problem not-acceptable */
export function negotiate<T extends string>(accept: string, types: readonly [T, ...T[]]): T {
  const ranges = accept.split(",").map(parseRange);
  const rated = types.map((type) => ({ type, quality: qualityOf(type, ranges) }));
  const best = rated.reduce((a, b) => (b.quality > a.quality ? b : a));
  if (best.quality > 0) return best.type;
  throw new Problem("not-acceptable", `This can be had as ${types.join(" or ")}.`);
}

const OF_PROGRAMS = ["application/problem+json", "application/json"];

/** Whether a page is wanted more than a problem document: by a browser, and not by who takes anything. */
export function prefersPage(accept = ""): boolean {
  const ranges = accept.split(",").map(parseRange);
  const page = qualityOf("text/html", ranges);
  return OF_PROGRAMS.every((type) => page > qualityOf(type, ranges));
}

type Range = Readonly<{ type: string; quality: number }>;

function parseRange(text: string): Range {
  const [type = "", ...parameters] = text.split(";").map((part) => part.trim().toLowerCase());
  const given = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2);
  const quality = given === undefined ? 1 : Number(given);
  return { type, quality: Number.isFinite(quality) ? quality : 0 };
}

/** The most specific range decides. */
function qualityOf(type: string, ranges: readonly Range[]): number {
  const [main] = type.split("/");
  for (const wanted of [type, `${main}/*`, "*/*"]) {
    const range = ranges.find((candidate) => candidate.type === wanted);
    if (range !== undefined) return range.quality;
  }
  return 0;
}
