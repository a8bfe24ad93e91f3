//! A headless Chromium, driven as WebDriver wants it: plain HTTP to `chromedriver`, which Debian has beside the browser.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::process::{Process, World, wait_until};
use tokio::runtime::Runtime;

/// Names the variable with a directory in which pictures are kept, for those who want to look at them.
const PICTURES_VARIABLE: &str = "PENSTOCK_TEST_PICTURES";

/// How WebDriver calls an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one page.
pub(crate) struct Browser {
    _driver: Process,
    /// The session's URL.
    session: String,
    client: reqwest::Client,
    runtime: Runtime,
}

impl Browser {
    /// Starts one, with its files in the test's directory.
    pub(crate) fn open(world: &World) -> Browser {
        let home = world.path().join("browser");
        std::fs::create_dir(&home).expect("a directory");
        let mut command = Command::new("chromedriver");
        let mut driver = world.start(command.arg("--port=0").env("HOME", &home));
        let line = driver.wait_for_line("ChromeDriver was started successfully on port");
        let port = line.trim_end_matches('.').rsplit(' ').next().expect("a port");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        crate::platform::choose_cryptography();
        let client = reqwest::Client::new();
        let session = format!("http://127.0.0.1:{port}/session");
        let mut browser = Browser { _driver: driver, session, client, runtime };
        let profile = format!("--user-data-dir={}", home.join("profile").display());
        // Root has no sandbox, and a container little shared memory; the pages are our own.
        let switches = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", &profile];
        let wanted = json!({
            "browserName": "chrome",
            // The platform's own authority, which no browser knows.
            "acceptInsecureCerts": true,
            "goog:chromeOptions": { "args": switches },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let opened = browser.ask(Method::POST, "", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        let id = opened["sessionId"].as_str().expect("a session").to_owned();
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    /// Goes to a page and waits until it is loaded.
    pub(crate) fn go(&self, url: &str) {
        self.ask(Method::POST, "/url", &json!({ "url": url }));
    }

    /// Runs a function's body in the page and returns what that returns.
    pub(crate) fn run(&self, body: &str) -> Value {
        self.ask(Method::POST, "/execute/sync", &json!({ "script": body, "args": [] }))
    }

    /// As [`Browser::run`], for what ends later: the body gets a function `done` to call with its result.
    pub(crate) fn run_until_done(&self, body: &str) -> Value {
        let body = format!("const done = arguments[0];\n{body}");
        self.ask(Method::POST, "/execute/async", &json!({ "script": body, "args": [] }))
    }

    /// What a person reads in an element; nothing if there is no such element.
    pub(crate) fn text(&self, selector: &str) -> String {
        let found = self.run(&format!("return document.querySelector({})?.innerText", json!(selector)));
        found.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a person reads all of this in an element, whatever the page does meanwhile.
    pub(crate) fn wait_for_text(&self, selector: &str, parts: &[&str]) {
        wait_until(&format!("the page shows {parts:?} in {selector}"), || {
            let text = self.text(selector);
            parts.iter().all(|part| text.contains(part))
        });
    }

    /// Types into an element, as keys are pressed.
    pub(crate) fn write(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.ask(Method::POST, &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    /// Presses an element, as a pointer does: what is covered cannot be pressed.
    pub(crate) fn press(&self, selector: &str) {
        let element = self.element(selector);
        self.ask(Method::POST, &format!("/element/{element}/click"), &json!({}));
    }

    /// Makes the page as wide as this, in CSS pixels, in this colour scheme.
    pub(crate) fn show_as(&self, width: u32, scheme: &str) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.tools("Emulation.setDeviceMetricsOverride", &size);
        let scheme = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.tools("Emulation.setEmulatedMedia", &json!({ "features": scheme }));
    }

    /// Keeps a picture of the page, if somebody wants to look at it.
    pub(crate) fn picture(&self, name: &str) {
        let Some(dir) = std::env::var_os(PICTURES_VARIABLE) else { return };
        let picture = self.ask(Method::GET, "/screenshot", &Value::Null);
        let picture = STANDARD.decode(picture.as_str().expect("a picture")).expect("base64");
        std::fs::write(Path::new(&dir).join(format!("{name}.png")), picture).expect("write");
    }

    /// What the browser complained about since the last time: scripts that failed, what the page's policy forbids.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let entries = self.ask(Method::POST, "/se/log", &json!({ "type": "browser" }));
        let entries = entries.as_array().expect("a list").iter();
        let grave = entries.filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        grave.map(|entry| entry["message"].to_string()).collect()
    }

    fn element(&self, selector: &str) -> String {
        let found =
            self.ask(Method::POST, "/element", &json!({ "using": "css selector", "value": selector }));
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// The browser's own developer tools.
    fn tools(&self, command: &str, parameters: &Value) {
        self.ask(Method::POST, "/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    fn ask(&self, method: Method, path: &str, body: &Value) -> Value {
        let mut request = self.client.request(method.clone(), format!("{}{path}", self.session));
        if method == Method::POST {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = self.runtime.block_on(async { request.send().await?.text().await });
        let answer: Value = serde_json::from_str(&answer.expect("chromedriver answers")).expect("JSON");
        assert!(answer["value"]["error"].is_null(), "{path} {body}: {}", answer["value"]["message"]);
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver's end would leave the browser alone.
        let request = self.client.delete(&self.session).send();
        let _ = self.runtime.block_on(request);
    }
}
