//! One tab, seen and used as a person would: what is shown, mouse and keyboard.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Value, json};

use super::browser::{Browser, Wire};
use super::poll;

/// A tab of the shared browser.
pub(crate) struct Page {
    browser: Arc<Browser>,
    context: String,
    wire: Wire,
    /// Exceptions and errors that the page has reported.
    complaints: Vec<String>,
}

/// A viewer's screen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) is_phone: bool,
    pub(crate) is_dark: bool,
}

/// An element by its `data-testid`.
pub(crate) fn hook(name: &str) -> String {
    format!("[data-testid=\"{name}\"]")
}

impl Page {
    /// Opens an address in a separate browser.
    pub(crate) fn open(url: &str) -> Self {
        let browser = Browser::shared();
        let context = browser.new_context();
        Self::in_context(browser, context, url)
    }

    /// Opens an address in a separate browser, whoever has signed what is presented there.
    pub(crate) fn open_trusting_any_certificate(url: &str) -> Self {
        Self::in_context(Arc::new(Browser::start_credulous()), String::new(), url)
    }

    /// Opens an address in another tab of the same browser.
    pub(crate) fn open_beside(&self, url: &str) -> Self {
        Self::in_context(Arc::clone(&self.browser), self.context.clone(), url)
    }

    /// Opens an address in a browser of its own that keeps a history, and where it keeps it.
    pub(crate) fn open_with_history(url: &str) -> (Self, Arc<tempfile::TempDir>) {
        let browser = Arc::new(Browser::start());
        let profile = browser.profile();
        (Self::in_context(browser, String::new(), url), profile)
    }

    /// Ends the browser in good order, so that its files are complete.
    pub(crate) fn close_browser(self) {
        self.browser.close();
    }

    fn in_context(browser: Arc<Browser>, context: String, url: &str) -> Self {
        let wire = browser.new_tab(&context);
        let mut page = Self { browser, context, wire, complaints: Vec::new() };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), &json!({}));
        }
        page.go(url);
        page
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        let complaints = &mut self.complaints;
        self.wire.call(method, params, &mut |event| complaints.extend(complaint(event)))
    }

    pub(crate) fn go(&mut self, url: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
    }

    /// Runs this before anything else whenever a page is loaded.
    #[track_caller]
    pub(crate) fn on_load(&mut self, script: &str) {
        self.call("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": script }));
    }

    pub(crate) fn reload(&mut self) {
        // So that remains of the old page are not mistaken for the new one.
        self.evaluate("document.body.replaceChildren()");
        self.call("Page.reload", &json!({}));
    }

    /// The value of a JavaScript expression; null if it throws.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        self.call("Runtime.evaluate", &params)["result"]["value"].clone()
    }

    /// Waits until an expression is truthy, and returns its value.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, expression: &str) -> Value {
        let truthy = |value: &Value| {
            !matches!(value, Value::Null | Value::Bool(false))
                && *value != json!("")
                && *value != json!(0)
        };
        let found = poll(|| Some(self.evaluate(expression)).filter(truthy));
        found.unwrap_or_else(|| self.fail(what))
    }

    #[track_caller]
    fn fail(&mut self, what: &str) -> ! {
        let shown = self.evaluate("location.href + '\\n' + document.body.innerText");
        let shown = shown.as_str().unwrap_or_default();
        let complaints = self.complaints.join("\n");
        panic!("timed out waiting for {what}. The page shows:\n{shown}\nIt reported:\n{complaints}")
    }

    /// Waits until an element is shown.
    #[track_caller]
    pub(crate) fn see(&mut self, selector: &str) {
        let expression = format!("document.querySelector({})?.checkVisibility()", json!(selector));
        self.wait_for(selector, &expression);
    }

    /// Waits until a matching element contains the text.
    #[track_caller]
    pub(crate) fn see_text(&mut self, selector: &str, text: &str) {
        let expression = format!(
            "[...document.querySelectorAll({})].some((e) => e.checkVisibility() && e.textContent.includes({}))",
            json!(selector),
            json!(text)
        );
        self.wait_for(&format!("{text:?} in {selector}"), &expression);
    }

    /// How many elements match now.
    pub(crate) fn count(&mut self, selector: &str) -> u64 {
        let found = format!("document.querySelectorAll({}).length", json!(selector));
        self.evaluate(&found).as_u64().expect("a number")
    }

    /// Clicks on the element, once nothing covers it and it no longer moves.
    #[track_caller]
    pub(crate) fn click(&mut self, selector: &str) {
        let place = format!(
            "(async () => {{
                const e = document.querySelector({});
                if (!e?.checkVisibility() || e.matches(':disabled, [aria-disabled=true]')) return null;
                e.scrollIntoView({{block: 'center', behavior: 'instant'}});
                const before = e.getBoundingClientRect();
                await new Promise((done) => setTimeout(done, 40));
                const r = e.getBoundingClientRect();
                const [x, y] = [r.x + r.width / 2, r.y + r.height / 2];
                if (r.x !== before.x || r.y !== before.y) return null;
                if (!e.contains(document.elementFromPoint(x, y))) return null;
                window.clickMissed = true;
                e.addEventListener('click', () => delete window.clickMissed, {{capture: true, once: true}});
                return [x, y];
            }})()",
            json!(selector)
        );
        // It may still move before the browser handles the click: then it is clicked again.
        let clicked = poll(|| {
            let place = Some(self.evaluate(&place)).filter(Value::is_array)?;
            self.click_at(&place[0], &place[1]);
            (self.evaluate("window.clickMissed") != json!(true)).then_some(())
        });
        if clicked.is_none() {
            self.fail(&format!("a place to click on {selector}"));
        }
    }

    fn click_at(&mut self, x: &Value, y: &Value) {
        for (kind, clicks) in [("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 1)] {
            let params =
                json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": clicks});
            self.call("Input.dispatchMouseEvent", &params);
        }
    }

    /// Types into whatever has the focus.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// Replaces the content of a field.
    #[track_caller]
    pub(crate) fn fill(&mut self, selector: &str, text: &str) {
        self.click(selector);
        let params = json!({
            "type": "rawKeyDown", "key": "a", "code": "KeyA", "modifiers": 2, "commands": ["selectAll"],
        });
        self.call("Input.dispatchKeyEvent", &params);
        self.type_text(text);
    }

    /// Presses a key: `Enter`, `Tab`, `Escape` or a space.
    pub(crate) fn press(&mut self, key: &str) {
        let (code, number, text) = match key {
            "Enter" => ("Enter", 13, "\r"),
            "Tab" => ("Tab", 9, ""),
            "Escape" => ("Escape", 27, ""),
            " " => ("Space", 32, " "),
            _ => panic!("no such key: {key:?}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let params = json!({
                "type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number,
                "text": if kind == "keyDown" { text } else { "" },
            });
            self.call("Input.dispatchKeyEvent", &params);
        }
    }

    /// Presses the Tab key until the element has the focus.
    #[track_caller]
    pub(crate) fn tab_to(&mut self, selector: &str) {
        let is_there = format!("document.activeElement?.matches({})", json!(selector));
        self.see(selector);
        for _ in 0..60 {
            if self.evaluate(&is_there) == json!(true) {
                return;
            }
            self.press("Tab");
        }
        panic!("the Tab key does not reach {selector}");
    }

    pub(crate) fn set_screen(&mut self, screen: Screen) {
        let Screen { width, height, is_phone, is_dark } = screen;
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone});
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        self.call("Emulation.setTouchEmulationEnabled", &json!({ "enabled": is_phone }));
        let scheme = if is_dark { "dark" } else { "light" };
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.call("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// Asks for no motion, as a person can in their system's settings.
    pub(crate) fn reduce_motion(&mut self) {
        let feature = json!({"name": "prefers-reduced-motion", "value": "reduce"});
        self.call("Emulation.setEmulatedMedia", &json!({ "features": [feature] }));
    }

    /// Makes the computer seem so many times slower.
    pub(crate) fn slow_down(&mut self, times: u32) {
        self.call("Emulation.setCPUThrottlingRate", &json!({ "rate": times }));
    }

    /// Disconnects or reconnects the network.
    pub(crate) fn set_offline(&mut self, is_offline: bool) {
        let params = json!({
            "offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.call("Network.emulateNetworkConditions", &params);
    }

    /// Lets the pages of a relay show notifications.
    pub(crate) fn allow_notifications(&mut self, origin: &str) {
        self.browser.allow_notifications(&self.context, origin);
    }

    /// Gives the service worker of a relay's page a message, as its push service would.
    #[track_caller]
    pub(crate) fn deliver_push(&mut self, origin: &str, data: &str) {
        let scope = format!("{origin}/");
        let mut registration = None;
        let complaints = &mut self.complaints;
        let mut note = |event: &Value| {
            complaints.extend(complaint(event));
            let all = event["params"]["registrations"].as_array().into_iter().flatten();
            let mut own = all
                .filter(|one| one["scopeURL"] == json!(scope) && one["isDeleted"] == json!(false));
            if let Some(id) = own.next_back().and_then(|one| one["registrationId"].as_str()) {
                registration = Some(id.to_owned());
            }
        };
        self.wire.call("ServiceWorker.disable", &json!({}), &mut note);
        self.wire.call("ServiceWorker.enable", &json!({}), &mut note);
        for _ in 0..20 {
            self.wire.call("Runtime.evaluate", &json!({"expression": "0"}), &mut note);
        }
        let id = registration.expect("the page has a service worker");
        let params = json!({"origin": origin, "registrationId": id, "data": data});
        self.call("ServiceWorker.deliverPushMessage", &params);
    }

    /// Taps on the only notification, or on one of its buttons.
    #[track_caller]
    pub(crate) fn tap_notification(&mut self, action: &str) {
        let mut wire = self.browser.service_worker(&self.context);
        // No script can make the real event; the worker's listeners get one that looks the same.
        let tap = format!(
            "self.registration.getNotifications().then(([notification]) => {{
                const event = new Event('notificationclick');
                Object.defineProperties(event, {{
                    notification: {{ value: notification }}, action: {{ value: {} }}, waitUntil: {{ value: (promise) => promise }},
                }});
                self.dispatchEvent(event);
            }})",
            json!(action)
        );
        let params = json!({"expression": tap, "awaitPromise": true});
        let tapped = wire.call("Runtime.evaluate", &params, &mut |_| {});
        assert!(tapped.get("exceptionDetails").is_none(), "{tapped}");
    }

    /// Saves a screenshot as a PNG file.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        let data = shot["data"].as_str().expect("a picture");
        base64::engine::general_purpose::STANDARD.decode(data).expect("base64")
    }

    /// What a screen reader sees: role and name of each element that is not ignored.
    pub(crate) fn accessible(&mut self) -> Vec<(String, String)> {
        let tree = self.call("Accessibility.getFullAXTree", &json!({}));
        let text = |value: &Value| value["value"].as_str().unwrap_or_default().to_owned();
        let nodes = tree["nodes"].as_array().expect("a tree");
        let shown = nodes.iter().filter(|node| node["ignored"] != json!(true));
        shown.map(|node| (text(&node["role"]), text(&node["name"]))).collect()
    }

    /// Fails if the page has reported an exception or an error.
    #[track_caller]
    pub(crate) fn assert_no_complaints(&mut self) {
        // Everything reported so far arrives before the response to this.
        self.evaluate("0");
        assert!(self.complaints.is_empty(), "the page reported {:#?}", self.complaints);
    }
}

/// The error that a browser event reports about the page, if any.
fn complaint(event: &Value) -> Option<String> {
    let params = &event["params"];
    match event["method"].as_str()? {
        "Runtime.exceptionThrown" => Some(params["exceptionDetails"].to_string()),
        "Runtime.consoleAPICalled" if params["type"] == "error" => Some(params["args"].to_string()),
        "Log.entryAdded" if params["entry"]["level"] == "error" => {
            Some(format!("{} {}", params["entry"]["text"], params["entry"]["url"]))
        }
        _ => None,
    }
}
