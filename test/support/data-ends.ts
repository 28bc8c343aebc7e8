/** What stands in a message, and is not the end of it (RFC 5321 2.3.8 and 4.1.1.4). */

/** Those that some server takes for the end of a message. */
export const ends = [
  "\n.\n",
  "\r.\r",
  "\n.\r\n",
  "\r\n.\n",
  "\r.\r\n",
  "\r\n.\r",
  "\n.\r",
  "\r.\n",
  "\r\n..\n",
  "\n..\n",
];
/** With NUL they are refused: what leaves holds none. */
export const endsWithNul = ["\r\n.\0\r\n", "\r\n\0.\r\n", "\n\0.\n", "\r.\0\r", "\0\r\n.\n"];
