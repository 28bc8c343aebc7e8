/** Every parser of ours by what must hold for any input. Each property throws, or gives false, where it does not. */
import type { IAsyncProperty, IProperty } from "fast-check";
import { deliveryProperties } from "./delivery.ts";
import { doorProperties } from "./doors.ts";
import { mailProperties } from "./mail.ts";
import { settingProperties } from "./settings.ts";

export type Properties = Readonly<Record<string, IProperty<never> | IAsyncProperty<never>>>;

export const properties = {
  ...mailProperties,
  ...deliveryProperties,
  ...settingProperties,
  ...doorProperties,
} as unknown as Properties;
