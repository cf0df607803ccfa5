// Starts `agentlang lsp` and hands the editor over to it. All knowledge of the language is in the server.
"use strict";

const vscode = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

let client;

async function start() {
  const [command, ...args] = vscode.workspace.getConfiguration("agentlang").get("command");
  const run = { command, args, transport: TransportKind.stdio };
  client = new LanguageClient("agentlang", "agentlang", { run, debug: run }, {
    documentSelector: [{ scheme: "file", language: "agentlang" }, { scheme: "untitled", language: "agentlang" }],
    synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/{*.agent,agentlang.toml}") },
  });
  try {
    await client.start();
  } catch (error) {
    vscode.window.showErrorMessage(
      `agentlang: \`${command}\` could not be started (${error.message}). Install it with its extra [lsp], ` +
        "or set `agentlang.command` to where it is."
    );
  }
}

async function stop() {
  const running = client;
  client = undefined;
  if (running && running.isRunning()) await running.stop();
}

async function activate(context) {
  const restart = async () => {
    await stop();
    await start();
  };
  context.subscriptions.push(vscode.commands.registerCommand("agentlang.restart", restart));
  context.subscriptions.push(
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (event.affectsConfiguration("agentlang.command")) return restart();
    })
  );
  await start();
}

module.exports = { activate, deactivate: stop };
