//! Debian's Chromium, driven by the DevTools protocol.

use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket, client::client_with_config};

use super::{DEADLINE, poll};

const FLAGS: [&str; 19] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-extensions",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
    "--no-first-run",
    "--no-proxy-server",
    "--window-size=1280,900",
    "--remote-debugging-port=0",
    "about:blank",
];

/// A running browser. The tests that run at the same time share one; it ends with the last of them.
pub(crate) struct Browser {
    child: Mutex<Child>,
    profile: Arc<TempDir>,
    control: Mutex<Option<Wire>>,
}

impl Browser {
    /// The browser of all tests.
    pub(crate) fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Browser>> = Mutex::new(Weak::new());
        // A test that panicked while starting one has left nothing behind that matters.
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let browser = Arc::new(Self::start());
            *shared = Arc::downgrade(&browser);
            browser
        })
    }

    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// One that takes every certificate for good.
    pub(crate) fn start_credulous() -> Self {
        Self::start_with(&["--ignore-certificate-errors"])
    }

    fn start_with(flags: &[&str]) -> Self {
        let profile = tempfile::tempdir().expect("a directory for the browser's profile");
        let mut command = Command::new("chromium");
        command
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(flags)
            .args(FLAGS);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.process_group(0);
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("chromium does not start ({error}): install it, on Debian by apt-get install chromium")
        });
        let browser = Self {
            child: Mutex::new(child),
            profile: Arc::new(profile),
            control: Mutex::new(None),
        };
        let (port, path) = browser.address();
        let wire = Wire::connect(port, &path);
        *browser.control.lock().expect("nobody else yet") = Some(wire);
        browser
    }

    /// The port of its DevTools, and the path of its own WebSocket there.
    fn address(&self) -> (u16, String) {
        let file = self.profile.path().join("DevToolsActivePort");
        poll(|| {
            let text = std::fs::read_to_string(&file).ok()?;
            let (port, path) = text.trim().split_once('\n')?;
            Some((port.parse().ok()?, path.to_owned()))
        })
        .expect("chromium started, but does not say where its DevTools are")
    }

    fn call(&self, method: &str, params: &Value) -> Value {
        let mut control = self.control.lock().expect("no test panicked in a call");
        control.as_mut().expect("connected").call(method, params, &mut |_| {})
    }

    /// A new context: separate storage, like another person's browser.
    pub(crate) fn new_context(&self) -> String {
        let context = self.call("Target.createBrowserContext", &json!({}));
        context["browserContextId"].as_str().expect("a context").to_owned()
    }

    pub(crate) fn allow_notifications(&self, context: &str, origin: &str) {
        let params = json!({
            "origin": origin, "browserContextId": context, "permissions": ["notifications"],
        });
        self.call("Browser.grantPermissions", &params);
    }

    /// A connection to the only service worker of a context.
    #[track_caller]
    pub(crate) fn service_worker(&self, context: &str) -> Wire {
        let targets = self.call("Target.getTargets", &json!({"filter": [{}]}));
        let all = targets["targetInfos"].as_array().expect("a list").iter();
        let mut own = all.filter(|one| {
            one["type"] == "service_worker" && one["browserContextId"] == json!(context)
        });
        let id = own.next().unwrap_or_else(|| panic!("none of {targets}"))["targetId"].clone();
        Wire::connect(self.address().0, &format!("/devtools/page/{}", id.as_str().expect("text")))
    }

    /// Where it keeps its files.
    pub(crate) fn profile(&self) -> Arc<TempDir> {
        Arc::clone(&self.profile)
    }

    /// Ends it as its own menu would, and waits for that.
    pub(crate) fn close(&self) {
        self.call("Browser.close", &json!({}));
        let mut child = self.child.lock().expect("nobody panicked");
        poll(|| child.try_wait().expect("a child of ours")).expect("it ends");
    }

    /// A new empty tab, and a connection to it. The context without a name keeps a history.
    pub(crate) fn new_tab(&self, context: &str) -> Wire {
        let mut params = json!({"url": "about:blank"});
        if !context.is_empty() {
            params["browserContextId"] = json!(context);
        }
        let target = self.call("Target.createTarget", &params);
        let id = target["targetId"].as_str().expect("a target");
        Wire::connect(self.address().0, &format!("/devtools/page/{id}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Ok(None) = child.try_wait() {
            let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
            let _ = child.wait();
        }
    }
}

/// One DevTools WebSocket.
pub(crate) struct Wire {
    socket: WebSocket<TcpStream>,
    calls: u64,
}

impl Wire {
    fn connect(port: u16, path: &str) -> Self {
        let tcp = TcpStream::connect(("127.0.0.1", port)).expect("the browser's DevTools");
        tcp.set_read_timeout(Some(DEADLINE)).expect("a socket option");
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let url = format!("ws://127.0.0.1:{port}{path}");
        let (socket, _) = client_with_config(url, tcp, Some(config)).expect("a DevTools session");
        Self { socket, calls: 0 }
    }

    /// Calls a method and waits for its response; events that arrive before it are passed to
    /// `event`.
    pub(crate) fn call(
        &mut self,
        method: &str,
        params: &Value,
        event: &mut dyn FnMut(&Value),
    ) -> Value {
        self.calls += 1;
        let call = json!({"id": self.calls, "method": method, "params": params}).to_string();
        self.socket.send(Message::text(call)).expect("the browser listens");
        loop {
            let message = self.socket.read();
            let message = message.unwrap_or_else(|e| panic!("no answer to {method}: {e}"));
            let Message::Text(text) = message else { continue };
            let answer: Value = serde_json::from_str(&text).expect("DevTools speak JSON");
            if answer["id"] == self.calls {
                assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            event(&answer);
        }
    }
}
