//! Chromium without a window, driven over its `DevTools` protocol.
//!
//! `--remote-debugging-pipe` reads JSON from file descriptor 3 and writes it to 4, each message ended
//! by a zero byte, so that neither a port nor a WebSocket is needed.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::lab;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Width and height of a screen, in CSS pixels.
pub(super) const DESKTOP: (u32, u32) = (1280, 900);
pub(super) const PHONE: (u32, u32) = (390, 844);

/// A browser with one page; it ends with the value.
pub(super) struct Browser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: String,
    last: u64,
    /// Everything that the page did and that was not asked for.
    pub(super) events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser. Nothing where there is none, which is said, and an error where there must be.
    pub(super) fn start() -> Option<Self> {
        let has = |name: &&str| {
            let mut command = Command::new(name);
            command
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        let Some(program) = NAMES.into_iter().find(has) else {
            assert!(
                std::env::var_os(lab::REQUIRED).is_none(),
                "chromium is not installed: apt-get install chromium"
            );
            eprintln!("skipped: chromium is not installed");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .args([
                "-c",
                "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1",
                "sh",
                program,
            ])
            .args(["--headless=new", "--remote-debugging-pipe", "--no-sandbox"])
            .args([
                "--disable-gpu",
                "--hide-scrollbars",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut browser = Browser {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            session: String::new(),
            last: 0,
            events: Vec::new(),
            _profile: profile,
        };
        browser.attach();
        Some(browser)
    }

    fn attach(&mut self) {
        let target = self.ask("Target.createTarget", &json!({"url": "about:blank"}));
        let how = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.ask("Target.attachToTarget", &how);
        session["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.session);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            self.ask(&format!("{domain}.enable"), &json!({}));
        }
    }

    /// Calls a method and returns its result; what happens meanwhile is kept.
    pub(super) fn ask(&mut self, method: &str, parameters: &Value) -> Value {
        self.last += 1;
        let mut message = json!({"id": self.last, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.input
            .write_all(message.to_string().as_bytes())
            .unwrap();
        self.input.write_all(b"\0").unwrap();
        self.input.flush().unwrap();
        loop {
            let heard = self.hear();
            if heard["id"] == self.last {
                assert!(heard.get("error").is_none(), "{method}: {heard}");
                return heard["result"].clone();
            }
            self.events.push(heard);
        }
    }

    fn hear(&mut self) -> Value {
        let mut message = Vec::new();
        self.output.read_until(0, &mut message).unwrap();
        assert_eq!(message.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&message).unwrap()
    }

    /// Opens a file on a screen of a size, and waits until it is loaded.
    pub(super) fn open(&mut self, path: &Path, (width, height): (u32, u32)) {
        let phone = width < 500;
        let screen =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.ask("Emulation.setDeviceMetricsOverride", &screen);
        self.events.clear();
        let url = url(path);
        self.ask("Page.navigate", &json!({"url": url}));
        let loaded = |it: &Value| it["method"] == "Page.loadEventFired";
        while !self.events.iter().any(loaded) {
            let heard = self.hear();
            self.events.push(heard);
        }
    }

    /// Returns the value of an expression of JavaScript in the page.
    pub(super) fn value(&mut self, expression: &str) -> Value {
        let what = json!({"expression": expression, "returnByValue": true});
        let result = self.ask("Runtime.evaluate", &what);
        assert!(
            result.get("exceptionDetails").is_none(),
            "{expression}: {result}"
        );
        result["result"]["value"].clone()
    }

    /// Presses a key as a keyboard does; a key of one letter writes it.
    pub(super) fn press(&mut self, key: &str) {
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            "Escape" => 27,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            _ => 0,
        };
        let mut down =
            json!({"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code});
        if key.chars().count() == 1 {
            down = json!({"type": "keyDown", "key": key, "text": key});
        } else if key == "Enter" {
            down["text"] = json!("\r");
        }
        self.ask("Input.dispatchKeyEvent", &down);
        let up = json!({"type": "keyUp", "key": key, "windowsVirtualKeyCode": code});
        self.ask("Input.dispatchKeyEvent", &up);
    }

    /// Returns what the page asked for beside itself.
    pub(super) fn requests(&self, own: &Path) -> Vec<String> {
        let own = url(own);
        let of = |it: &Value| it["params"]["request"]["url"].as_str().map(str::to_owned);
        let asked = self
            .events
            .iter()
            .filter(|it| it["method"] == "Network.requestWillBeSent");
        asked.filter_map(of).filter(|asked| *asked != own).collect()
    }

    /// Returns what a developer would see in the console, and scripts that failed.
    pub(super) fn complaints(&self) -> Vec<&Value> {
        let said = [
            "Runtime.consoleAPICalled",
            "Runtime.exceptionThrown",
            "Log.entryAdded",
        ];
        let all = self.events.iter();
        all.filter(|it| said.iter().any(|method| it["method"] == *method))
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the URL of a file; RFC 3986 section 2.1.
fn url(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let mut url = "file://".to_owned();
    for byte in path.to_str().unwrap().bytes() {
        if plain(byte) {
            url.push(char::from(byte));
        } else {
            write!(url, "%{byte:02X}").unwrap();
        }
    }
    url
}
