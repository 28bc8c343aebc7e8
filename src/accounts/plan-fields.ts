/** What the terms of a plan may be, and the flags of features that subaccounts have from it. */
import type { Features } from "../platform/schema.ts";
import { type Rule, units } from "./fields.ts";

export const cycles = ["monthly", "yearly"] as const;
export type Cycle = (typeof cycles)[number];

/** `amountMinor` in the smallest unit of the currency (cents). */
export type Price = Readonly<{ amountMinor: number; currency: string }>;

export type PlanTerms = Readonly<{
  /** Units per period; null: bounded by the master only; `custom`: each subaccount brings its own. */
  monthlyLimit: number | null | "custom";
  features: Features;
  /** Null: not sold by a price. */
  price: Price | null;
  cycle: Cycle;
}>;

const MAX_FEATURES = 50;

/** Names of our own or the master's, each on or off. */
export const features: Rule = (value) => {
  const wrong = `This must be an object of at most ${MAX_FEATURES} names (a-z, 0-9, _) that are true or false.`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return wrong;
  const entries = Object.entries(value);
  const valid = entries.every(([name, on]) => /^[a-z][a-z0-9_]{0,49}$/.test(name) && typeof on === "boolean");
  return valid && entries.length <= MAX_FEATURES ? undefined : wrong;
};

export const planLimit: Rule = (value) => {
  if (value === null || value === "custom") return undefined;
  const wrong = units(value);
  return wrong === undefined ? undefined : `${wrong.slice(0, -1)}, null, or custom.`;
};

/** Below what money comes to, and exact in a double. */
export const MAX_MINOR = 1_000_000_000_000;

export const amountMinor: Rule = (value) =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_MINOR
    ? undefined
    : `This must be a whole number from 0 to ${MAX_MINOR}: the smallest unit of the currency.`;

/** ISO 4217. */
export const currency: Rule = (value) =>
  typeof value === "string" && /^[A-Z]{3}$/.test(value) && Intl.supportedValuesOf("currency").includes(value)
    ? undefined
    : "This is not a currency like EUR.";
