/** Secrets that the program has not made itself. */
export const given = {
  wrong: "a-wrong-password-that-somebody-tried",
  wrongKey: "pm_live_abcdefghijklmnopqrstuvwxyz234567",
  upstream: "the-password+of/the=upstream",
  redis: "the-password-of-redis",
  wrongRedis: "the-wrong-password-of-redis",
  database: "the-password-of-the-database",
  wrongDatabase: "the-wrong-password-of-the-database",
};

export function withPassword(text: string, password: string): string {
  const url = new URL(text);
  url.password = password;
  return url.href;
}
