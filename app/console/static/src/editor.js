// The rule editor's script: CodeMirror in place of the textarea, which stays the form's field and what htmx listens to.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching } from "@codemirror/language";
import { lintKeymap, setDiagnostics } from "@codemirror/lint";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, drawSelection, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { completions } from "./completion.js";
import { highlighting, ruleLanguage } from "./language.js";

const nonce = document.querySelector("[data-editor-script]").nonce;
const box = document.querySelector("[data-editor]");
const field = document.getElementById("dsl");
const form = document.getElementById("rule");
const diagnostics = document.getElementById("diagnostics");
const asking = ["diagnostics", "preview", "trial"].map((id) => document.getElementById(id));

// An answer about a text of before is dropped: one about the present text follows.
const askedAbout = new Map();
document.body.addEventListener("htmx:configRequest", (event) => askedAbout.set(event.detail.elt, field.value));
document.body.addEventListener("htmx:beforeSwap", (event) => {
  const { elt } = event.detail;
  if (asking.includes(elt) && askedAbout.get(elt) !== field.value) event.detail.shouldSwap = false;
});

function save() {
  form.requestSubmit();
  return true;
}

function mount(words) {
  // Whoever has begun to write in the plain field goes on where they are.
  const writing = document.activeElement === field && { anchor: field.selectionStart, head: field.selectionEnd };
  const view = new EditorView({
    parent: box,
    state: EditorState.create({
      doc: field.value,
      extensions: [
        nonce ? EditorView.cspNonce.of(nonce) : [],
        Prec.highest(keymap.of([{ key: "Mod-Enter", run: save }])),
        lineNumbers(),
        history(),
        drawSelection(),
        bracketMatching(),
        closeBrackets(),
        EditorView.lineWrapping,
        ruleLanguage(words),
        highlighting,
        autocompletion({ override: [completions(words, box.dataset.fields)], icons: false }),
        // Tab is not among them: it goes on to the next field.
        keymap.of([...closeBracketsKeymap, ...completionKeymap, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
        placeholder(field.placeholder),
        EditorView.contentAttributes.of({
          "aria-labelledby": "dsl-label",
          "aria-describedby": field.getAttribute("aria-describedby").trim(),
          "aria-multiline": "true",
          // What can be scrolled must be reached by keys, and not everything knows that this can be.
          tabindex: "0",
        }),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          field.value = update.state.doc.toString();
          field.dispatchEvent(new Event("input", { bubbles: true }));
        }),
      ],
    }),
  });
  box.classList.add("mounted");
  field.hidden = true;
  // The server says what is wrong; a hidden field could not show the browser's own word for it.
  field.required = false;
  if (writing) {
    view.dispatch({ selection: writing });
    view.focus();
  }
  return view;
}

// Lines and columns count from 1, in characters; CodeMirror counts UTF-16 units from the beginning.
function place(doc, line, column) {
  const found = doc.line(Math.min(Math.max(1, line), doc.lines));
  const before = Array.from(found.text).slice(0, column - 1).join("");
  return Math.min(found.to, found.from + before.length);
}

function underlines(view) {
  const doc = view.state.doc;
  const found = [...diagnostics.querySelectorAll("li[data-line]")].map((item) => {
    const line = Number(item.dataset.line);
    let from = place(doc, line, Number(item.dataset.column));
    let to = place(doc, line, Number(item.dataset.end));
    // The end of the text is a place too: the character before it stands for it.
    if (to <= from) [from, to] = from < doc.length ? [from, from + 1] : [Math.max(0, from - 1), from];
    const hint = item.querySelector(".tip")?.textContent;
    const message = item.querySelector(".message").textContent + (hint ? `\n${hint}` : "");
    return { from, to, severity: item.dataset.severity, message };
  });
  view.dispatch(setDiagnostics(view.state, found));
  view.contentDOM.setAttribute("aria-invalid", String(found.some((one) => one.severity === "error")));
}

function fill(view, text) {
  view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, selection: { anchor: text.length } });
  view.focus();
}

function start(words) {
  const view = mount(words);
  underlines(view);
  document.body.addEventListener("htmx:afterSwap", (event) => event.detail.target === diagnostics && underlines(view));
  document.getElementById("dsl-label").addEventListener("click", (event) => {
    event.preventDefault();
    view.focus();
  });
  document.addEventListener("click", (event) => {
    const start = event.target.closest("[data-start]");
    const item = event.target.closest("[data-place]")?.closest("li");
    if (!start && !item) return;
    event.preventDefault();
    if (start) return fill(view, start.dataset.start);
    const anchor = place(view.state.doc, Number(item.dataset.line), Number(item.dataset.column));
    view.dispatch({ selection: { anchor }, scrollIntoView: true });
    view.focus();
  });
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.defaultPrevented) return;
  if (document.querySelector("dialog[open]")) return;
  event.preventDefault();
  save();
});
const answer = await fetch(box.dataset.language);
if (answer.ok) start(await answer.json());
