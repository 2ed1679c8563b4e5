// Colours for the rule language. Its words come from the server; how they are put together is the checker's matter.
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { tags } from "@lezer/highlight";

const NUMBER = /^(?:\d+:\d+\s*-\s*\d+:\d+|\d\w*(?:\.\d\w*)*%?)/;
const WORD = /^[\p{L}_][\p{L}\p{N}_]*/u;
// What follows a word that is a field: then it is no word of a window.
const COMPARED = /^\s*(?:[=!<>+*/%.)?]|-\s|in\b|is\b|i?contains\b|i?startswith\b|i?endswith\b|matches\b|and\b|or\b|then\b|$)/;

export const highlighting = syntaxHighlighting(
  HighlightStyle.define([
    { tag: tags.keyword, class: "tok-keyword" },
    { tag: tags.atom, class: "tok-atom" },
    { tag: tags.string, class: "tok-string" },
    { tag: tags.special(tags.string), class: "tok-template" },
    { tag: tags.number, class: "tok-number" },
    { tag: tags.comment, class: "tok-comment" },
    { tag: tags.function(tags.name), class: "tok-function" },
    { tag: tags.propertyName, class: "tok-name" },
    { tag: tags.operator, class: "tok-operator" },
  ]),
);

export function ruleLanguage({ words, functions }) {
  const named = (...groups) => new Set(words.filter((each) => groups.includes(each.group)).map((each) => each.word));
  const reserved = named("reserved");
  const atoms = new Set(["true", "false", "null"]);
  const calls = new Set([...functions.map((each) => each.name), ...named("aggregate"), "notify", "open"]);
  const windows = named("window");
  const clauses = named("clause", "rule", "window");
  const values = named("severity", "day");

  function text(stream, state) {
    if (state.template) {
      if (stream.match("}}")) state.template = false;
      else stream.next();
      return "template";
    }
    while (!stream.eol()) {
      if (stream.match("{{", false)) {
        if (stream.pos > stream.start) return "string";
        stream.match("{{");
        state.template = true;
        return "template";
      }
      const next = stream.next();
      if (next === "\\") stream.next();
      else if (next === state.quote) {
        state.quote = "";
        return "string";
      }
    }
    state.quote = "";
    return "string";
  }

  function word(stream, state, found) {
    const rest = stream.string.slice(stream.pos);
    const before = state.before;
    if (before === ".") return "propertyName";
    if (reserved.has(found)) {
      if (found === "then") state.after = true;
      return atoms.has(found) ? "atom" : "keyword";
    }
    if (/^\s*\(/.test(rest)) {
      // A step of a sequence, or a clause's word, may stand before a parenthesis as well.
      if (calls.has(found)) return "function";
    }
    if (state.after && values.has(found)) return "atom";
    if (state.after && clauses.has(found) && before !== "(" && !COMPARED.test(rest)) return "keyword";
    if (windows.has(found) && before === "value" && !COMPARED.test(rest)) return "keyword";
    if (found === "rule" && before === "") return "keyword";
    return "propertyName";
  }

  return StreamLanguage.define({
    name: "sentinel-rule",
    startState: () => ({ quote: "", template: false, after: false, before: "" }),
    tokenTable: { template: tags.special(tags.string), function: tags.function(tags.name) },
    languageData: { closeBrackets: { brackets: ["(", "[", '"', "'"] }, commentTokens: { line: "#" } },
    token(stream, state) {
      if (state.quote) return text(stream, state);
      if (stream.eatSpace()) return null;
      if (stream.peek() === "#") {
        stream.skipToEnd();
        return "comment";
      }
      const next = stream.peek();
      if (next === '"' || next === "'") {
        state.quote = stream.next();
        state.template = false;
        state.before = "value";
        return text(stream, state);
      }
      if (stream.match(NUMBER)) {
        state.before = "value";
        return "number";
      }
      const found = stream.match(WORD);
      if (found) {
        const style = word(stream, state, found[0]);
        state.before = style === "propertyName" || style === "atom" ? "value" : style;
        return style;
      }
      stream.next();
      state.before = next === ")" || next === "]" ? "value" : next;
      return "operator";
    },
  });
}
