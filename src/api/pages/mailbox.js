// Lists and shows captured mail. All that comes from mail is set as text, never as markup.
// The key comes from the field, or from the address's fragment (#key=...), which no server sees; it is kept for this tab only.
(() => {
  const byId = (id) => document.getElementById(id);
  const field = byId("key");
  let key = sessionStorage.getItem("postmeter-key") ?? "";
  let cursor = null;

  const fragment = new URLSearchParams(location.hash.slice(1)).get("key");
  if (fragment) {
    key = fragment;
    sessionStorage.setItem("postmeter-key", key);
    history.replaceState(null, "", location.pathname);
  }

  const note = (text) => {
    byId("note").textContent = text;
  };

  const element = (name, text) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  async function call(path) {
    const answer = await fetch(path, { headers: { Authorization: `Bearer ${key}` } });
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail ?? `The server answered ${answer.status}.`);
  }

  function item(mail) {
    const button = element("button", mail.subject || "(no subject)");
    button.type = "button";
    button.append(element("small", `${mail.from || "<>"} to ${mail.recipients.join(", ")}`));
    button.append(element("small", new Date(mail.captured_at).toLocaleString()));
    button.addEventListener("click", () => {
      for (const other of byId("list").querySelectorAll("button")) other.removeAttribute("aria-current");
      button.setAttribute("aria-current", "true");
      attempt(() => show(mail.id));
    });
    const entry = element("li");
    entry.append(button);
    return entry;
  }

  async function list() {
    const query = cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await (await call(`/v1/captured?limit=50${query}`)).json();
    if (cursor === null) byId("list").replaceChildren();
    byId("list").append(...page.data.map(item));
    cursor = page.next_cursor;
    byId("more").hidden = !page.has_more;
    byId("refresh").hidden = false;
    note(byId("list").childElementCount === 0 ? "Nothing was captured yet." : "");
  }

  async function show(id) {
    const path = `/v1/captured/${encodeURIComponent(id)}`;
    const mail = await (await call(path)).json();
    const facts = element("dl");
    const rows = [
      ["Envelope from", mail.from || "<>"],
      ["Envelope to", mail.recipients.join(", ")],
      ["From", mail.header_from ?? ""],
      ["Captured", mail.captured_at],
      ["Message", mail.message_id],
      ["Bytes", String(mail.size_bytes)],
    ];
    for (const [name, value] of rows) facts.append(element("dt", name), element("dd", value));
    const source = element("details");
    source.append(element("summary", "Source"));
    source.addEventListener("toggle", () =>
      attempt(async () => {
        if (source.querySelector("pre") !== null) return;
        source.append(element("pre", await (await call(`${path}/raw`)).text()));
      }),
    );
    const files = mail.attachments.map(
      (file) => `${file.filename ?? "(no name)"}, ${file.content_type}, ${file.size_bytes} bytes`,
    );
    byId("message").replaceChildren(
      element("h2", mail.subject || "(no subject)"),
      facts,
      element("pre", mail.text ?? "(no text part; see the source)"),
      ...files.map((file) => element("p", `Attachment: ${file}`)),
      source,
    );
  }

  async function attempt(work) {
    try {
      await work();
    } catch (error) {
      note(error.message);
    }
  }

  byId("access").addEventListener("submit", (event) => {
    event.preventDefault();
    key = field.value.trim();
    field.value = "";
    sessionStorage.setItem("postmeter-key", key);
    cursor = null;
    attempt(list);
  });
  byId("refresh").addEventListener("click", () => {
    cursor = null;
    attempt(list);
  });
  byId("more").addEventListener("click", () => attempt(list));
  if (key !== "") attempt(list);
})();
