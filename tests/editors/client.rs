//! An editor as the server sees it: JSON-RPC over the pipes of the real program.

use std::fs;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use lsp_server::Message;
use serde_json::{Value, json};
use tempfile::TempDir;

pub struct Client {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    folder: TempDir,
    count: i32,
    version: i32,
}

impl Client {
    /// Starts a session in a folder with such files, in an editor that knows these encodings.
    pub fn start(files: &[(&str, &str)], encodings: &[&str]) -> (Client, Value) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("lsp")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut client = Client {
            stdin: child.stdin.take().unwrap(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
            folder,
            count: 0,
            version: 0,
        };
        let root = client.uri("");
        let able = client.ask(
            "initialize",
            json!({
                "processId": null,
                "rootUri": root,
                "workspaceFolders": [{"uri": root, "name": "policies"}],
                "capabilities": {"general": {"positionEncodings": encodings}},
            }),
        );
        client.tell("initialized", json!({}));
        (client, able)
    }

    /// Starts a session with one file open, and waits for what is said of it.
    pub fn with(text: &str) -> (Client, Vec<Value>) {
        let (mut client, _) = Client::start(&[("shop.tide", text)], &["utf-16"]);
        client.open("shop.tide", text);
        let said = client.said_of("shop.tide");
        (client, said)
    }

    pub fn uri(&self, name: &str) -> String {
        // A folder's real path, as editors give it.
        let folder = self.folder.path().canonicalize().unwrap();
        let path = if name.is_empty() {
            folder
        } else {
            folder.join(name)
        };
        format!("file://{}", path.display())
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn tell(&mut self, method: &str, params: Value) {
        let notice = lsp_server::Notification {
            method: method.to_owned(),
            params,
        };
        Message::from(notice).write(&mut self.stdin).unwrap();
    }

    fn hear(&mut self) -> Message {
        Message::read(&mut self.stdout)
            .expect("a message")
            .expect("the server is there")
    }

    fn request(&mut self, method: &str, params: Value) -> lsp_server::Response {
        self.count += 1;
        let request = lsp_server::Request {
            id: self.count.into(),
            method: method.to_owned(),
            params,
        };
        Message::from(request).write(&mut self.stdin).unwrap();
        loop {
            if let Message::Response(response) = self.hear() {
                assert_eq!(response.id, self.count.into());
                return response;
            }
        }
    }

    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let response = self.request(method, params);
        assert!(response.error.is_none(), "{response:?}");
        response.result.unwrap_or(Value::Null)
    }

    /// Asks what is refused, and returns why.
    pub fn refused(&mut self, method: &str, params: Value) -> String {
        let response = self.request(method, params);
        response.error.expect("a refusal").message
    }

    pub fn open(&mut self, name: &str, text: &str) {
        let uri = self.uri(name);
        let document = json!({"uri": uri, "languageId": "tide", "version": 0, "text": text});
        self.tell("textDocument/didOpen", json!({"textDocument": document}));
    }

    /// Types a new text and waits for what is said of it.
    pub fn types(&mut self, name: &str, text: &str) -> Vec<Value> {
        self.change(name, text);
        self.said_of(name)
    }

    pub fn change(&mut self, name: &str, text: &str) {
        self.version += 1;
        let params = json!({
            "textDocument": {"uri": self.uri(name), "version": self.version},
            "contentChanges": [{"text": text}],
        });
        self.tell("textDocument/didChange", params);
    }

    /// Waits for the diagnostics of a file.
    pub fn said_of(&mut self, name: &str) -> Vec<Value> {
        let uri = self.uri(name);
        loop {
            let Message::Notification(notice) = self.hear() else {
                continue;
            };
            if notice.method == "textDocument/publishDiagnostics" && notice.params["uri"] == uri {
                return notice.params["diagnostics"].as_array().unwrap().clone();
            }
        }
    }

    /// Returns the parameters of a request about the place where `mark` first stands in a text,
    /// `after` letters on.
    pub fn place(&self, name: &str, text: &str, mark: &str, after: usize) -> Value {
        let at = text.find(mark).unwrap_or_else(|| panic!("no {mark}"));
        let before = &text[..at + after];
        let column = before.rsplit('\n').next().unwrap().encode_utf16().count();
        json!({
            "textDocument": {"uri": self.uri(name)},
            "position": {"line": before.matches('\n').count(), "character": column},
        })
    }

    /// Ends the session as an editor does.
    pub fn end(mut self) -> (ExitStatus, String) {
        assert_eq!(self.ask("shutdown", Value::Null), Value::Null);
        self.tell("exit", Value::Null);
        drop(self.stdin);
        let status = self.child.wait().unwrap();
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).unwrap();
        (status, said)
    }

    /// Ends it as one that crashes does.
    pub fn vanish(mut self) -> ExitStatus {
        let _ = self.stdin.flush();
        drop(self.stdin);
        self.child.wait().unwrap()
    }
}
