import { pickedCompletion, startCompletion } from "@codemirror/autocomplete";

// What may stand at the cursor: words and functions of the language, fields and values seen in events, targets.
const TOKEN = /#[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|(["'])((?:[^\\\n]|\\.)*)$|[\p{L}_][\p{L}\p{N}_]*|\d\w*%?|->|\?\?|[=!<>]=|\s+|./gsu;
const PATH = /(?:[\p{L}_][\p{L}\p{N}_]*(?:\.[\p{L}\p{N}_]*|\[-?\d*\]?)*)?$/u;
const ASKED = /\btype\s*==\s*["']([^"'\n]*)["']/;
const NAMED = /\b(?:any|all|none)\s+([\p{L}_][\p{L}\p{N}_]*)\s+in\s+([\p{L}\p{N}_.]+)\s*:/gu;
const DURATIONS = ["1m", "5m", "10m", "1h", "24h"];

// Inserts both halves of a pair, with the cursor between them, and goes on completing there.
const around = (open, close) => (view, completion, from, to) => {
  view.dispatch({
    changes: { from, to, insert: open + close },
    selection: { anchor: from + open.length },
    annotations: pickedCompletion.of(completion),
    userEvent: "input.complete",
  });
  startCompletion(view);
};

// A function's docs end in an example between backticks.
function docs(title, text) {
  return () => {
    const dom = document.createElement("div");
    dom.className = "cm-docs";
    const head = dom.appendChild(document.createElement("code"));
    head.textContent = title;
    for (const [index, part] of text.split("`").entries()) {
      if (part.trim() === "") continue;
      const node = document.createElement(index % 2 ? "code" : "span");
      node.textContent = index % 2 ? part : part.replace(/[:.]\s*$/, ".").trim();
      if (node.textContent.length > 1) dom.append(node);
    }
    return dom;
  };
}

function count(number, all) {
  return all ? `${Math.round((100 * number) / all)} %` : "";
}

// Where the cursor is: inside of which string, after which tokens.
function situation(text) {
  const tokens = [];
  let open = null;
  for (const match of text.matchAll(TOKEN)) {
    if (/^(?:\s|#)/.test(match[0])) continue;
    if (match[1]) open = { from: match.index + 1, text: match[2] };
    else tokens.push(match[0]);
  }
  return { tokens, open };
}

// The call that is still open at the end of the tokens.
function called(tokens) {
  let depth = 0;
  for (let at = tokens.length - 1; at > 0; at--) {
    if (tokens[at] === ")") depth++;
    if (tokens[at] === "(" && depth-- === 0) return tokens[at - 1];
  }
  return null;
}

export function completions(words, address) {
  const known = new Map();
  // Events of the type that the sentence asks for; of all types where there are none such.
  async function seen(type) {
    if (!known.has(type)) {
      const answer = await fetch(type ? `${address}?${new URLSearchParams({ type })}` : address);
      const found = answer.ok ? await answer.json() : { events: 0, types: {}, fields: [] };
      known.set(type, found.events || !type ? found : await seen(""));
      setTimeout(() => known.delete(type), 60000);
    }
    return known.get(type);
  }
  const word = (each) => ({ label: each.word, type: "keyword", info: docs(each.word, `\`${each.example}\``) });
  const group = (...groups) => words.words.filter((each) => groups.includes(each.group));
  const functions = words.functions.map((each) => ({
    label: each.name,
    detail: each.signature.slice(each.name.length),
    apply: each.signature.endsWith("()") ? each.signature : around(`${each.name}(`, ")"),
    type: "function",
    info: docs(each.signature, each.summary),
  }));
  const aggregates = group("aggregate").map((each) => ({ ...word(each), detail: " over …", type: "function", apply: around(`${each.word}(`, ") over ") }));
  const notify = { label: "notify", type: "function", apply: around('notify("', '")'), info: docs("notify", "Who hears of it: `notify(\"slack:#ops\")`") };
  const targets = [
    ...words.targets.map((each) => ({ label: each.target, detail: each.enabled ? " channel" : " channel, off", type: "target", boost: 1 })),
    ...Object.entries(words.kinds).map(([kind, label]) => ({ label: `${kind}:`, detail: ` ${label}`, type: "kind" })),
  ];

  function valuesOf(found, path) {
    const field = found.fields.find((each) => each.path === path.replace(/^event\./, "").replace(/\[-?\d+\]/g, "[]"));
    if (path.replace(/^event\./, "") === "type") return Object.keys(found.types);
    return (field?.examples ?? []).filter((each) => typeof each === "string");
  }

  async function inString(context, { tokens, open }, whole) {
    const from = context.pos - open.text.length;
    if (called(tokens) === "notify") return { from, options: targets, validFor: /^[^"'\n]*$/ };
    const compared = ["==", "!=", "in", "[", ",", "startswith", "istartswith"];
    if (!compared.includes(tokens.at(-1))) return null;
    const path = tokens.join(" ").match(/((?:event \. )?[\p{L}_][\p{L}\p{N}_]*(?: \. [\p{L}\p{N}_]+)*) (?:==|!=|i?startswith|(?:not )?in \[[^\]]*)(?: ,)?$|((?:[\p{L}\p{N}_]+)(?: \. [\p{L}\p{N}_]+)*) in$/u);
    if (!path) return null;
    const name = (path[1] ?? path[2]).replaceAll(" ", "");
    const found = await seen(/(^|\.)type$/.test(name) ? "" : asked(whole));
    const options = valuesOf(found, name).map((each) => ({ label: each, type: "value", detail: name === "type" ? ` ${found.types[each]}` : "" }));
    return options.length ? { from, options, validFor: /^[^"'\n]*$/ } : null;
  }

  const asked = (text) => text.match(ASKED)?.[1] ?? "";

  function fieldOptions(found, before, path) {
    const element = [...before.matchAll(NAMED)].find((each) => path.startsWith(`${each[1]}.`));
    const lead = element ? `${element[2].replace(/^event\./, "")}[].` : "";
    const said = element ? `${element[1]}.` : path.startsWith("event.") ? "event." : "";
    return found.fields
      .filter((each) => each.path.startsWith(lead) && !each.path.slice(lead.length).includes("[]"))
      .map((each) => ({
        label: said + each.path.slice(lead.length),
        detail: ` ${Object.keys(each.types).join(", ")}`,
        type: "field",
        boost: 2,
        info: () => {
          const dom = document.createElement("div");
          dom.className = "cm-docs";
          dom.textContent = `In ${count(each.events, found.events)} of the newest events. `;
          for (const example of each.examples.slice(0, 3)) {
            const code = dom.appendChild(document.createElement("code"));
            code.textContent = JSON.stringify(example);
          }
          return dom;
        },
      }));
  }

  return async (context) => {
    const whole = context.state.doc.toString();
    const before = whole.slice(0, context.pos);
    const place = situation(before);
    if (place.open) return inString(context, place, whole);
    const path = before.match(PATH)[0];
    if (!path && !context.explicit) return null;
    const from = context.pos - path.length;
    const tokens = situation(before.slice(0, from)).tokens;
    const last = tokens.at(-1);
    const validFor = /^[\p{L}\p{N}_]*$/u;
    if (last === "severity") return { from, options: group("severity").map(word), validFor };
    if (last === "during") return { from, options: group("day").map(word), validFor };
    if (["over", "for", "within", "offset", "per", "group", "after"].includes(last))
      return { from, options: DURATIONS.map((label) => ({ label, type: "value" })), validFor: /^\w*$/ };
    if (!tokens.length) return { from, options: group("reserved").filter((each) => each.word === "when").map(word), validFor };
    if (last === "then") return { from, options: [notify], validFor };
    const then = tokens.includes("then");
    if (then && !called(tokens) && last !== "by" && last !== "when" && !["and", "or", "not"].includes(last)) {
      const clauses = group("clause", "window").filter((each) => !tokens.includes(each.word) || each.group === "window");
      const fitting = clauses.filter((each) => each.group === "clause" || each.word === "by");
      return { from, options: [notify, ...fitting.map(word), ...group("rule").filter((each) => ["otherwise", "hold", "drop", "per", "after"].includes(each.word)).map(word)], validFor };
    }
    const found = await seen(asked(whole));
    const dotted = path.includes(".");
    const options = fieldOptions(found, before.slice(0, from), path);
    if (!dotted && last !== "by") options.push(...functions, ...aggregates, ...group("reserved").map(word), ...group("window").map(word));
    return { from, options, validFor: /^[\p{L}\p{N}_.]*$/u };
  };
}
