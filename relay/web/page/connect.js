// The list "How to connect", with buttons that copy.

import { make } from "./attachments.js";
import { snippets } from "./snippets.js";

const SAID = 2_000; // ms that a button says "Copied"

// Write the list anew. list: an element. told: a live region. where: what `snippets` takes.
export function showSnippets(list, told, where) {
  list.replaceChildren(
    ...snippets(where).map(({ title, code, note }) => {
      const item = make("li");
      const head = make("div", "row");
      const text = make("code", "", code);
      const block = make("pre");
      block.tabIndex = 0;
      block.setAttribute("role", "group");
      block.setAttribute("aria-label", title);
      block.append(text);
      head.append(make("h3", "", title), copyButton(title, text, told));
      item.append(head, block);
      if (note !== undefined) item.append(make("p", "soft", note));
      return item;
    }),
  );
}

// Write the list of documents. titles: of each, by the name of its file.
export function showDocuments(list, titles) {
  list.replaceChildren(
    ...Object.entries(titles).map(([name, title]) => {
      const link = make("a", "", title);
      link.href = `docs/${name}`;
      link.target = "_blank";
      const item = make("li");
      item.append(link);
      return item;
    }),
  );
}

function copyButton(title, text, told) {
  const button = make("button", "plain", "Copy");
  button.type = "button";
  button.setAttribute("aria-label", `Copy: ${title}`);
  button.addEventListener("click", async () => {
    const copied = await copy(text);
    button.textContent = copied ? "Copied" : "Press Ctrl+C";
    told.textContent = copied ? `Copied: ${title}` : "Selected: press Ctrl+C to copy";
    setTimeout(() => {
      button.textContent = "Copy";
      told.textContent = "";
    }, SAID);
  });
  return button;
}

// Without HTTPS there is no clipboard for pages, except on localhost: then the text is selected at least.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(text);
    return document.execCommand("copy");
  }
}
