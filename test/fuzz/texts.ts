/** Texts that parsers stumble over: pieces that mean something to one of them, between what means nothing. */
import fc from "fast-check";

const pieces = [
  ..."@<>()[],;:\\\"'.=?+-_*%&#/ \t\r\n\0\x7f\x85",
  "\r\n",
  "\r\n\r\n",
  "\n.\r\n",
  "a@b.example",
  '"a b"@c.example',
  "a@[192.0.2.1]",
  "a@[IPv6:2001:db8::1]",
  "xn--",
  "xn--bcher-kva",
  "bücher",
  "日本",
  "ß",
  "\u0130",
  "\u00ad",
  "\u200d",
  "\u202e",
  "\u2028",
  "\ufeff",
  "\ufffd",
  "😀",
  "\ud83d",
  "=?utf-8?B?",
  "=?utf-16le?q?=00=d8",
  "=0D=0A",
  "?=",
  "From: ",
  "Bcc:",
  "250 2.0.0 ",
  "550-5.1.1 ",
  "PROXY TCP4 ",
  "192.0.2.1",
  "::ffff:1.2.3.4",
  "smtp://",
  "user:pass@",
  "?tls=required",
  "mx:",
  "99999999999999999999",
  "-1",
  "1e400",
  "5d",
  "msg_01kb2m5xj7e1fr0x4m4f6a0z3q",
  "7".repeat(26),
  "example",
  ".example",
  "null",
  "__proto__",
];

/** At most about `maxLength` characters. */
export function nastyText(maxLength = 300): fc.Arbitrary<string> {
  const piece = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...pieces) },
    { weight: 2, arbitrary: fc.string({ maxLength: 12 }) },
    { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
    { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...pieces), fc.nat(200)).map(([text, n]) => text.repeat(n)) },
  );
  return fc.array(piece, { maxLength: 14 }).map((parts) => parts.join("").slice(0, maxLength));
}

/** The same as bytes, cut anywhere. */
export const nastyChunks: fc.Arbitrary<Buffer[]> = fc
  .tuple(nastyText(2000), fc.array(fc.nat(2000), { maxLength: 6 }))
  .map(([text, places]) => {
    const bytes = Buffer.from(text);
    const at = [...new Set(places.map((place) => Math.min(place, bytes.length)))].sort((a, b) => a - b);
    return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length));
  });

export const isOneLine = (text: string): boolean => !/[\r\n\0]/.test(text);
