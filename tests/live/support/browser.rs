//! A headless Chromium, driven with chromedriver.

use std::fs;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::http;
use super::port;
use super::process::Process;
use super::server;
use super::wait::{LONG, until};

/// A browser with one window. Dropping it ends the browser and its driver.
#[derive(Debug)]
pub struct Browser {
    port: u16,
    session: String,
    _driver: Process,
    _folder: TempDir,
}

impl Browser {
    /// Starts a browser with a new profile.
    pub fn start() -> Self {
        let port = port::free();
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromedriver");
        let command = command
            .arg(format!("--port={port}"))
            .env("HOME", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let driver = Process::start(command);
        let driver = driver.expect("chromedriver is installed: scripts/install-tools chromedriver");
        until(LONG, "chromedriver", || {
            http::send_json(port, "GET", "/status", "").ok()
        });
        let options = json!({ "args": [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-proxy-server",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            format!("--user-data-dir={}", folder.path().join("profile").display()),
        ]});
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }}});
        let mut browser = Self {
            port,
            session: String::new(),
            _driver: driver,
            _folder: folder,
        };
        let created = browser.post("/session", &capabilities);
        created["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        // A window without a screen is not always active, and elements then get no focus.
        let focus = json!({
            "cmd": "Emulation.setFocusEmulationEnabled",
            "params": { "enabled": true },
        });
        browser.command("goog/cdp/execute", &focus);
        browser
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        let response = http::send_json(self.port, "POST", path, &body.to_string()).unwrap();
        let reply: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(response.status, 200, "{path}: {reply}");
        reply["value"].clone()
    }

    fn command(&self, name: &str, body: &Value) -> Value {
        self.post(&format!("/session/{}/{name}", self.session), body)
    }

    /// Opens a page and waits until it is loaded.
    pub fn open(&self, url: &str) {
        self.command("url", &json!({ "url": url }));
    }

    /// Runs the body of a function in the page and returns its result.
    pub fn run(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Returns the result of an expression as text.
    pub fn text(&self, expression: &str) -> String {
        let value = self.run(&format!("return String({expression});"));
        value.as_str().unwrap().to_owned()
    }

    /// Returns the violations of rules for accessibility that axe-core finds in the page.
    ///
    /// # Panics
    ///
    /// If axe-core is not installed.
    pub fn violations(&self) -> Vec<String> {
        let axe = fs::read_to_string(server::cached("WHEELS", "wheels").join("axe-core"));
        self.run(&axe.expect("axe-core is installed: scripts/install-tools axe-core"));
        let found = self.run(
            "return axe.run(document, { preload: false, resultTypes: ['violations'] }).then(found => \
             found.violations.flatMap(rule => rule.nodes.map(node => \
             `${rule.id}: ${node.target}: ${node.html} ${node.failureSummary}`)));",
        );
        let found = found.as_array().unwrap().iter();
        found.map(|one| one.as_str().unwrap().to_owned()).collect()
    }

    /// Sends a command of the debugging protocol of Chrome.
    pub fn devtools(&self, name: &str, parameters: &Value) -> Value {
        let body = json!({ "cmd": name, "params": parameters });
        self.command("goog/cdp/execute", &body)
    }

    /// Returns the messages of the console since the last call.
    pub fn console(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({ "type": "browser" }));
        let messages = log.as_array().unwrap().iter();
        messages.map(|entry| entry["message"].to_string()).collect()
    }

    /// Returns the addresses that were requested since the last call.
    pub fn requested(&self) -> Vec<String> {
        let log = self.command("se/log", &json!({ "type": "performance" }));
        let events = log.as_array().unwrap().iter();
        let events = events.filter_map(|entry| {
            let event: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let event = &event["message"];
            let is_request = event["method"] == "Network.requestWillBeSent";
            let url = event["params"]["request"]["url"].as_str()?.to_owned();
            is_request.then_some(url)
        });
        events.collect()
    }

    /// Sets the size of the window, and whether the page should be dark.
    pub fn resize(&self, width: u32, height: u32, is_dark: bool) {
        let size = json!({
            "width": width,
            "height": height,
            "deviceScaleFactor": 1,
            "mobile": width < 600,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
        let scheme = if is_dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.devtools(
            "Emulation.setEmulatedMedia",
            &json!({ "features": [feature] }),
        );
    }

    /// Returns a picture of the whole page as PNG.
    pub fn picture(&self) -> Vec<u8> {
        let options = json!({ "format": "png", "captureBeyondViewport": true });
        let picture = self.devtools("Page.captureScreenshot", &options);
        STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
    }

    /// Returns the document as HTML, also if scripts are disabled.
    pub fn document(&self) -> String {
        let root = self.devtools("DOM.getDocument", &json!({ "depth": 0 }));
        let node = json!({ "nodeId": root["root"]["nodeId"] });
        let html = self.devtools("DOM.getOuterHTML", &node);
        html["outerHTML"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser at the end of the session.
        let path = format!("/session/{}", self.session);
        let _ = http::send_json(self.port, "DELETE", &path, "");
    }
}
