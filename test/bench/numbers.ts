/** Whole numbers from `least` in a text with commas; what is wrong is added to `problems`. */
export function readNumbers(name: string, text: string, problems: string[], least = 1): number[] {
  const list = text.split(",").map(Number);
  const wrong = list.some((n) => !Number.isInteger(n) || n < least);
  if (wrong) problems.push(`--${name}: whole numbers from ${least}, not ${text}`);
  return list;
}
