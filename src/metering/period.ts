/** Half-open `[start, end)`. */
export type Period = Readonly<{ start: Date; end: Date }>;
