import { lstatSync, mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { embeddedBinaries, linkLibraries } from "../../src/platform/embedded-binaries.ts";
import { canReach } from "../../src/platform/embedded-user.ts";

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "postmeter-binaries-"));
  onTestFinished(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

test("the links that a package can't hold are made, and made once", () => {
  const native = folder();
  mkdirSync(join(native, "lib"));
  const links = [{ source: "native/lib/libpq.so.5.18", target: "native/lib/libpq.so.5" }];
  writeFileSync(join(native, "pg-symlinks.json"), JSON.stringify(links));
  expect(linkLibraries(native)).toBe(true);
  expect(linkLibraries(native)).toBe(true);
  expect(readlinkSync(join(native, "lib", "libpq.so.5"))).toBe("libpq.so.5.18");
});

test("this machine's package is complete", () => {
  const { folder: native, version, complete } = embeddedBinaries();
  expect(complete).toBe(true);
  expect(version).toMatch(/^\d+\./);
  expect(lstatSync(join(native, "bin", "postgres")).isFile()).toBe(true);
});

test("a folder that another user may not pass through is seen on the way down", () => {
  const outer = folder();
  const inner = join(outer, "a", "b");
  mkdirSync(inner, { recursive: true, mode: 0o755 });
  const stranger = { uid: 4_000_000, gid: 4_000_000 };
  expect(canReach(inner, stranger)).toBe(false);
  expect(canReach(inner, { uid: process.getuid!(), gid: process.getgid!() })).toBe(true);
  expect(canReach(inner, {})).toBe(true);
  expect(canReach(tmpdir(), stranger)).toBe(true);
});
