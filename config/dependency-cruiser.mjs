/**
 * Who may import whom, apart from types (`import type`), which are gone when the program runs. Read by test/rooms.test.ts,
 * which holds those against the order itself, and sees to it that modules are read at all: this tool reads none, and
 * passes, when it finds no parser for TypeScript.
 */

/** From the ground up: a room may import those before it. The last four are doors and don't see each other. */
export const rooms = [
  "platform",
  "mail",
  "audit",
  "events",
  "accounts",
  "prices",
  "metering",
  "quota",
  "domains",
  "spool",
  "delivery",
  "branding",
  "letters",
  "reviews",
  "people",
  "bulk",
  "alerts",
  "lifecycle",
];
export const doors = ["submission", "api", "portal", "cli"];

/** Shapes that rooms share: their types may be imported from anywhere above platform and mail. */
export const vocabulary = ["accounts/principal", "metering/period", "quota/gate", "spool/message"];
/** Of these the functions too: they are pure, and import nothing. */
export const pure = ["accounts/principal", "metering/period"];

const purePath = `^src/(${pure.join("|")})\\.ts$`;
const inRooms = (names) => `^src/(${names.join("|")})/`;

const order = rooms.map((room, i) => ({
  name: `${room}-stays-below`,
  comment: `${room} imports only what stands before it: ${rooms.slice(0, i).join(", ") || "nothing"}.`,
  severity: "error",
  from: { path: inRooms([room]) },
  to: {
    path: inRooms([...rooms.slice(i + 1), ...doors]),
    ...(room === "platform" || room === "mail" ? {} : { pathNot: purePath }),
  },
}));

const doorsApart = doors.map((door) => ({
  name: `${door}-imports-no-door`,
  comment: "A door translates for its own callers; what two doors need is a room's.",
  severity: "error",
  from: { path: inRooms([door]) },
  to: { path: inRooms(doors.filter((other) => other !== door)) },
}));

/** A library is known in few places, so that it can be changed there. */
function only(library, places, comment) {
  return {
    name: `only-here-${/[a-z][a-z-]+/.exec(library)?.[0]}`,
    comment,
    severity: "error",
    from: { path: "^src/", pathNot: places.map((place) => `^src/${place}`) },
    to: { path: `^node_modules/${library}/` },
  };
}

/** @type {import("dependency-cruiser").IFlattenedRuleSet} */
export const ruleSet = {
  forbidden: [
    ...order,
    ...doorsApart,
    {
      name: "delivery-touches-no-bill",
      comment: "Nothing after acceptance can change a bill.",
      severity: "error",
      from: { path: "^src/delivery/" },
      to: { path: inRooms(["metering", "quota"]), pathNot: purePath },
    },
    {
      name: "pure-stays-pure",
      comment: "What is imported against the order imports nothing itself.",
      severity: "error",
      from: { path: purePath },
      to: { path: "." },
    },
    {
      name: "nothing-imports-main",
      comment: "main.ts puts the program together and is put together by nobody.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^src/main\\.ts$" },
    },
    {
      name: "no-tests-in-the-program",
      comment: "The program does not know how it is tested.",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^test/" },
    },
    {
      name: "no-circle",
      comment: "Two modules that need each other are one.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-dead-end",
      comment: "Every import leads somewhere.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "no-development-tools",
      comment: "What the program needs is installed in production too.",
      severity: "error",
      from: { path: "^src/" },
      to: { dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"] },
    },
    {
      name: "no-sql-in-doors",
      comment:
        "Doors translate; SQL and Redis calls stand in rooms. Two files of the CLI open what its commands run on.",
      severity: "error",
      from: { path: inRooms(doors), pathNot: "^src/cli/(session|migrate)\\.ts$" },
      to: {
        path: "^node_modules/(kysely|pg|ioredis|graphile-worker)/|^src/platform/(redis|jobs|migrate|partitions)\\.ts$",
      },
    },
    only(
      "nodemailer",
      ["delivery/transport\\.ts", "mail/compose\\.ts"],
      "One file speaks SMTP as a client, one composes mail.",
    ),
    only("smtp-server", ["submission/"], "Only the door for clients speaks SMTP as a server."),
    only("(?:hono|@hono/[\\w-]+)", ["api/", "portal/"], "Only the door for programs speaks HTTP."),
    only("commander", ["cli/", "main\\.ts"], "Only the door for operators has commands."),
    only("csv-parse", ["bulk/"], "One room reads tables that others wrote."),
    only("ioredis", ["platform/", "quota/"], "Only the gate counts in Redis."),
    only("graphile-worker", ["platform/"], "Rooms see jobs, not who runs them."),
    only("pino", ["platform/log\\.ts"], "One file decides what a log line is."),
  ],
};
