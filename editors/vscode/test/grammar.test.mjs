// Runs the colouring over the examples with the engine that the editor uses, and holds it against what the language's
// own scanner says of each token: `agentlang`'s Python prints that as JSON lines (see tests/system/test_editors.py).
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

const require = createRequire(import.meta.url);
const { Registry, parseRawGrammar, INITIAL } = require("vscode-textmate");
const oniguruma = require("vscode-oniguruma");

const here = new URL(".", import.meta.url);
const wasm = readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm"));
await oniguruma.loadWASM(wasm);
const path = new URL("../syntaxes/agentlang.tmLanguage.json", here);
const registry = new Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  loadGrammar: async () => parseRawGrammar(readFileSync(path, "utf8"), path.pathname),
});
const grammar = await registry.loadGrammar("source.agentlang");

function coloured(text) {
  let state = INITIAL;
  return text.split("\n").map((line) => {
    const result = grammar.tokenizeLine(line, state);
    state = result.ruleStack;
    return result.tokens;
  });
}

function scopesAt(lines, line, column) {
  const token = lines[line - 1].find((t) => t.startIndex <= column - 1 && column - 1 < t.endIndex);
  return token ? token.scopes.join(" ") : "";
}

test("every example is coloured as the scanner reads it", () => {
  const files = JSON.parse(readFileSync(process.env.AGENTLANG_TOKENS ?? 0, "utf8"));
  assert.ok(files.length > 0, "no examples were given");
  for (const { name, text, tokens } of files) {
    const lines = coloured(text);
    for (const { line, column, text: word, is } of tokens) {
      const scopes = scopesAt(lines, line, column);
      assert.match(scopes, new RegExp(is), `${name}:${line}:${column} '${word}' is ${is}, and is shown as ${scopes}`);
    }
  }
});

test("what no program may hold is not coloured as if it might", () => {
  const lines = coloured('x = "a } b"\ny = 1');
  assert.match(scopesAt(lines, 1, 8), /invalid/);
  // A one-line text ends on its line, so the next line is code again.
  const open = coloured('x = "never closed\nreturn y');
  assert.match(scopesAt(open, 2, 1), /keyword\.control/);
});
