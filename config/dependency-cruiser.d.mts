import type { IFlattenedRuleSet } from "dependency-cruiser";

export declare const rooms: string[];
export declare const doors: string[];
export declare const vocabulary: string[];
export declare const pure: string[];
export declare const ruleSet: IFlattenedRuleSet;
