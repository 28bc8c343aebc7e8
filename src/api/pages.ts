/** Pages and files of our own, read once at start; nothing is loaded from elsewhere. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Hono } from "hono";
import type { Env } from "./mount.ts";
import { problemNames, statusOf, titleOf } from "./problem.ts";
import { PAGE_POLICY } from "./security-headers.ts";

const HTML = "text/html; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";
const STYLE = "text/css; charset=utf-8";

const swagger = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));
const own = join(import.meta.dirname, "pages");

const files: Readonly<Record<string, readonly [folder: string, file: string, type: string]>> = {
  "/docs": [own, "docs.html", HTML],
  "/docs/docs.js": [own, "docs.js", SCRIPT],
  "/docs/swagger-ui.css": [swagger, "swagger-ui.css", STYLE],
  "/docs/swagger-ui-bundle.js": [swagger, "swagger-ui-bundle.js", SCRIPT],
  "/docs/favicon-32x32.png": [swagger, "favicon-32x32.png", "image/png"],
  "/mailbox": [own, "mailbox.html", HTML],
  "/mailbox/mailbox.js": [own, "mailbox.js", SCRIPT],
  "/mailbox/mailbox.css": [own, "mailbox.css", STYLE],
};

export function mountPages(app: Hono<Env>): void {
  for (const [path, [folder, file, type]] of Object.entries(files)) {
    let bytes: Buffer | undefined;
    app.get(path, (c) => {
      c.set("route", path);
      bytes ??= readFileSync(join(folder, file));
      const headers = { "Content-Type": type, "Cache-Control": "no-cache", "Content-Security-Policy": PAGE_POLICY };
      return new Response(new Uint8Array(bytes), { headers });
    });
  }
  app.get("/problems/:name", (c) => {
    c.set("route", "/problems/{name}");
    const name = problemNames.find((known) => known === c.req.param("name"));
    return name === undefined ? c.notFound() : c.text(`${statusOf(name)} ${titleOf(name)}.\n`);
  });
}
