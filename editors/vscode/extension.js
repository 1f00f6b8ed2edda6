// Starts `tidegate lsp` for policy files, and ends it with the editor.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = () => {
  const command = workspace.getConfiguration("tidegate").get("path", "tidegate");
  client = new LanguageClient(
    "tidegate",
    "tidegate",
    { command, args: ["lsp"] },
    {
      documentSelector: [{ scheme: "file", language: "tide" }],
      // A set's list or an included file may be written by something else.
      synchronize: { fileEvents: workspace.createFileSystemWatcher("**/*.{tide,txt}") },
    },
  );
  return client.start();
};

exports.deactivate = () => client && client.stop();
