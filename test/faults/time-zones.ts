/**
 * Period changes that are hard to reckon, all of them in the past: their rules of summer time don't change any more. Each was
 * reckoned by another program than ours. One moment holds masters of several calendars whose periods change at the same instant.
 */

type Anchor = Readonly<{ anchorDay: number; timeZone: string }>;

/** The two periods that meet at a moment, and their names: the first days as the zone's wall clocks show them. */
export type Reckoned = Anchor &
  Readonly<{ from: string; until: string; names: readonly [string, string]; moves?: Anchor }>;

export type Moment = Readonly<{ turn: string; what: string; calendars: readonly Reckoned[] }>;

const reckoned = (
  anchorDay: number,
  timeZone: string,
  from: string,
  until: string,
  ...names: [string, string]
): Reckoned => ({
  anchorDay,
  timeZone,
  from,
  until,
  names,
});

/** The master's calendar changes with the period. */
const moving = (before: Reckoned, moves: Anchor): Reckoned => ({ ...before, moves });

const leap = (day: number, zone: string) =>
  reckoned(day, zone, `2024-01-${day}T00:00Z`, `2024-03-${day}T00:00Z`, `2024-01-${day}`, "2024-02-29");

export const leapDay: Moment = {
  turn: "2024-02-29T00:00Z",
  what: "days 29, 30 and 31 in a leap year's February",
  calendars: [
    leap(31, "UTC"),
    leap(30, "UTC"),
    leap(29, "UTC"),
    leap(31, "Europe/London"),
    moving(reckoned(31, "UTC", "2024-01-31T00:00Z", "2024-03-14T23:00Z", "2024-01-31", "2024-02-29"), {
      anchorDay: 15,
      timeZone: "Europe/Berlin",
    }),
  ],
};

export const skippedMidnight: Moment = {
  turn: "2024-03-30T22:00Z",
  what: "day 31 after a day 29, where summer time skips its midnight (Beirut), begins later (Athens), or never comes",
  calendars: [
    reckoned(31, "Asia/Beirut", "2024-02-28T22:00Z", "2024-04-29T21:00Z", "2024-02-29", "2024-03-31"),
    reckoned(31, "Europe/Athens", "2024-02-28T22:00Z", "2024-04-29T21:00Z", "2024-02-29", "2024-03-31"),
    reckoned(31, "Africa/Johannesburg", "2024-02-28T22:00Z", "2024-04-29T22:00Z", "2024-02-29", "2024-03-31"),
  ],
};

export const doubleMidnight: Moment = {
  turn: "2024-11-03T04:00Z",
  what: "a midnight that comes twice (Havana), a day of 25 hours (New York)",
  calendars: [
    reckoned(3, "America/Havana", "2024-10-03T04:00Z", "2024-12-03T05:00Z", "2024-10-03", "2024-11-03"),
    reckoned(3, "America/New_York", "2024-10-03T04:00Z", "2024-12-03T05:00Z", "2024-10-03", "2024-11-03"),
    reckoned(3, "America/La_Paz", "2024-10-03T04:00Z", "2024-12-03T04:00Z", "2024-10-03", "2024-11-03"),
  ],
};

/** A minute after its first midnight the wall clock goes back to the day before. */
export const setBackOverMidnight: Moment = {
  turn: "2010-11-07T02:30Z",
  what: "a wall clock that is set back over midnight a minute after it, in a zone of half hours (St. John's)",
  calendars: [reckoned(7, "America/St_Johns", "2010-10-07T02:30Z", "2010-12-07T03:30Z", "2010-10-07", "2010-11-07")],
};

export const moments: readonly Moment[] = [
  leapDay,
  {
    turn: "2023-02-28T00:00Z",
    what: "days 29 and 31 in a February of 28 days",
    calendars: [
      reckoned(31, "UTC", "2023-01-31T00:00Z", "2023-03-31T00:00Z", "2023-01-31", "2023-02-28"),
      reckoned(29, "UTC", "2023-01-29T00:00Z", "2023-03-29T00:00Z", "2023-01-29", "2023-02-28"),
    ],
  },
  skippedMidnight,
  {
    turn: "2024-03-30T23:00Z",
    what: "day 31 on the first day of summer time (Berlin)",
    calendars: [
      reckoned(31, "Europe/Berlin", "2024-02-28T23:00Z", "2024-04-29T22:00Z", "2024-02-29", "2024-03-31"),
      reckoned(31, "Africa/Lagos", "2024-02-28T23:00Z", "2024-04-29T23:00Z", "2024-02-29", "2024-03-31"),
    ],
  },
  {
    turn: "2024-03-10T05:00Z",
    what: "the first day of summer time (New York), a midnight that it skips (Havana)",
    calendars: [
      reckoned(10, "America/New_York", "2024-02-10T05:00Z", "2024-04-10T04:00Z", "2024-02-10", "2024-03-10"),
      reckoned(10, "America/Havana", "2024-02-10T05:00Z", "2024-04-10T04:00Z", "2024-02-10", "2024-03-10"),
      reckoned(10, "America/Bogota", "2024-02-10T05:00Z", "2024-04-10T05:00Z", "2024-02-10", "2024-03-10"),
    ],
  },
  doubleMidnight,
  {
    turn: "2024-04-07T04:00Z",
    what: "a day that begins an hour late, since 24:00 is set back to 23:00 (Santiago)",
    calendars: [
      reckoned(7, "America/Santiago", "2024-03-07T03:00Z", "2024-05-07T04:00Z", "2024-03-07", "2024-04-07"),
      reckoned(7, "America/New_York", "2024-03-07T05:00Z", "2024-05-07T04:00Z", "2024-03-07", "2024-04-07"),
    ],
  },
  {
    turn: "2024-09-08T04:00Z",
    what: "a skipped midnight of the south (Santiago)",
    calendars: [
      reckoned(8, "America/Santiago", "2024-08-08T04:00Z", "2024-10-08T03:00Z", "2024-08-08", "2024-09-08"),
      reckoned(8, "America/New_York", "2024-08-08T04:00Z", "2024-10-08T04:00Z", "2024-08-08", "2024-09-08"),
    ],
  },
  {
    turn: "2024-04-25T22:00Z",
    what: "a skipped midnight on a Friday (Cairo)",
    calendars: [
      reckoned(26, "Africa/Cairo", "2024-03-25T22:00Z", "2024-05-25T21:00Z", "2024-03-26", "2024-04-26"),
      reckoned(26, "Europe/Berlin", "2024-03-25T23:00Z", "2024-05-25T22:00Z", "2024-03-26", "2024-04-26"),
    ],
  },
  {
    turn: "2024-04-06T13:00Z",
    what: "summer time of half an hour ends (Lord Howe)",
    calendars: [
      reckoned(7, "Australia/Lord_Howe", "2024-03-06T13:00Z", "2024-05-06T13:30Z", "2024-03-07", "2024-04-07"),
      reckoned(7, "Australia/Sydney", "2024-03-06T13:00Z", "2024-05-06T14:00Z", "2024-03-07", "2024-04-07"),
      reckoned(7, "Pacific/Noumea", "2024-03-06T13:00Z", "2024-05-06T13:00Z", "2024-03-07", "2024-04-07"),
    ],
  },
  {
    turn: "2011-12-30T10:00Z",
    what: "the date line is crossed: a day that never was (Apia)",
    calendars: [
      reckoned(30, "Pacific/Apia", "2011-11-30T10:00Z", "2012-01-29T10:00Z", "2011-11-30", "2011-12-31"),
      reckoned(31, "Pacific/Apia", "2011-11-30T10:00Z", "2012-01-30T10:00Z", "2011-11-30", "2011-12-31"),
      reckoned(31, "Pacific/Kiritimati", "2011-11-29T10:00Z", "2012-01-30T10:00Z", "2011-11-30", "2011-12-31"),
      reckoned(30, "Pacific/Honolulu", "2011-11-30T10:00Z", "2012-01-30T10:00Z", "2011-11-30", "2011-12-30"),
    ],
  },
];
