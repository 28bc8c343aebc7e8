/**
 * The words of the pages in English. Each other language has the same keys: a missing one fails the type check.
 *
 * `faults`: what a page says no with, letter by letter as it is thrown.
 */
export const en = {
  frame: {
    error: "Error:",
    help: "Help:",
    logIn: "Log in",
    yourAccount: "Your account",
    email: "E-mail address",
    password: "Password",
  },
  unknown: {
    title: "There is no such page",
    why: "Perhaps the address was not copied whole, or the page was left in the middle of a form.",
  },
  logIn: {
    forgotten: "I have forgotten my password",
    code: "Code",
    codeTitle: "Second factor",
    codeHint: "Six digits of your authenticator, or one of your recovery codes.",
    again: "Start again",
  },
  faults: {
    denied: "This address and password don't belong together.",
    locked: "Too many failures: from your network nobody logs in with this address for five minutes.",
    codeUsed: "This code is not right, or was used before.",
  },
};
