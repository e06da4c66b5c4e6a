//! Notifications, from an agent's question to a tap on them: with a push service of the test's own, since
//! the browser's cannot be reached from here, and with other people's code to read what is sent to it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::DEADLINE;
use crate::support::page::{Page, hook};
use crate::support::program::Program;

/// Makes a browser's keys; or reads a message as that browser would, and checks who has signed it.
const READER: &str = r#"
import base64, json, sys
import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import serialization
from py_vapid import Vapid02
def b64(data): return base64.urlsafe_b64encode(data).rstrip(b'=').decode()
def raw(text): return base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))
key = ec.derive_private_key(0x1234567890abcdef, ec.SECP256R1())
auth = b'0123456789abcdef'
asked = json.load(sys.stdin)
if asked is None:
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    print(json.dumps({'p256dh': b64(point), 'auth': b64(auth)}))
else:
    assert Vapid02.verify(asked['authorization']), 'the signature'
    token = asked['authorization'].split('t=')[1].split(',')[0]
    claims = json.loads(raw(token.split('.')[1]))
    plain = http_ece.decrypt(raw(asked['body']), private_key=key, auth_secret=auth, version='aes128gcm')
    print(json.dumps({'claims': claims, 'message': json.loads(plain)}))
"#;

/// `None` where those libraries are not installed.
fn read(asked: &Value) -> Option<Value> {
    let mut command = Command::new("python3");
    command.args(["-c", READER]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().ok()?;
    let stdin = child.stdin.take().expect("a pipe");
    serde_json::to_writer(stdin, asked).ok()?;
    let ended = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&ended.stderr);
    if stderr.contains("ModuleNotFoundError") {
        return None;
    }
    assert!(ended.status.success(), "{stderr}");
    Some(serde_json::from_slice(&ended.stdout).expect("JSON"))
}

/// A request that a push service has got.
struct Got {
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }

    /// What its browser reads, and by whom it is signed.
    fn open(&self) -> Value {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&self.body);
        let asked = json!({"authorization": self.header("authorization"), "body": body});
        read(&asked).expect("it is installed")
    }
}

/// A push service that takes everything; its origin, and what it has got.
fn push_service() -> (String, Receiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("bound"));
    let (sender, got) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut stream = stream;
                loop {
                    let (mut head, mut byte) = (Vec::new(), [0]);
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read(&mut byte) {
                            Ok(1) => head.push(byte[0]),
                            _ => return,
                        }
                    }
                    let head = String::from_utf8(head).expect("text");
                    let mut got = Got { head, body: Vec::new() };
                    let length = got.header("content-length").parse().unwrap_or(0);
                    got.body.resize(length, 0);
                    stream.read_exact(&mut got.body).expect("a body");
                    let answer = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
                    if stream.write_all(answer.as_bytes()).is_err() || sender.send(got).is_err() {
                        return;
                    }
                }
            });
        }
    });
    (origin, got)
}

/// In place of what only the browser's own push service can do.
fn stand_in(endpoint: &str, keys: &Value) -> String {
    format!(
        "(() => {{
            let subscription = null;
            const make = () => ({{ toJSON: () => ({{ endpoint: {}, keys: {keys} }}), unsubscribe: async () => {{ subscription = null; }} }});
            PushManager.prototype.getSubscription = async () => subscription;
            PushManager.prototype.subscribe = async ({{ applicationServerKey }}) => {{
                window.subscribedWith = applicationServerKey.length;
                subscription = make();
                return subscription;
            }};
        }})()",
        json!(endpoint)
    )
}

/// Asks twice, once it hears something, and works in between.
const AGENT: &str = r#"
read -r heard || exit 0
case $heard in *footbridge-check*) exit 0 ;; esac
printf '%s\n' '{"type":"control_request","request_id":"Q1","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"make install"}}}'
read -r answer
printf '%s\n' "$answer" >>answers
printf '%s\n' '{"type":"control_request","request_id":"Q2","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"make clean"}}}'
read -r answer
printf '%s\n' "$answer" >>answers
while read -r heard; do :; done
"#;

struct Told {
    directory: tempfile::TempDir,
    program: Program,
    page: Page,
    got: Receiver<Got>,
    origin: String,
}

impl Told {
    /// A page on which notifications were turned on; `None` where nothing can read them.
    fn start() -> Option<Self> {
        let Some(keys) = read(&Value::Null) else {
            eprintln!("skipped: http-ece and py-vapid are not installed for python3");
            return None;
        };
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("agent.sh"), AGENT).expect("a file");
        let args = ["--agent", "sh ./agent.sh", "--allow-private-push", "--name", "laptop"];
        let program = Program::up(&directory, &args);
        let (origin, got) = push_service();
        let mut page = Page::open("about:blank");
        page.allow_notifications(program.url());
        page.on_load(&stand_in(&format!("{origin}/send/1"), &keys));
        page.go(program.page());
        page.click(&hook("notifications"));
        page.click(&hook("notifications-toggle"));
        page.see_text(&hook("notifications-said"), "told from now on");
        assert_eq!(page.evaluate("window.subscribedWith"), json!(65));
        Some(Self { directory, program, page, got, origin })
    }

    #[track_caller]
    fn next(&self) -> (Got, Value) {
        let got = self.got.recv_timeout(DEADLINE).expect("a message");
        let read = got.open();
        assert_eq!(read["claims"]["aud"], json!(self.origin));
        (got, read["message"].clone())
    }

    /// What the system shows.
    fn shown(&mut self) -> Value {
        self.page.evaluate(
            "navigator.serviceWorker.ready.then((r) => r.getNotifications()).then((all) => all.map(({ title, body, tag, actions }) => ({ title, body, tag, actions: actions.map(({ action }) => action) })))",
        )
    }

    fn close_dialog(&mut self) {
        self.page.evaluate("document.querySelector('dialog[open]')?.close()");
    }
}

#[test]
fn a_question_reaches_a_browser_and_is_taken_back_when_it_is_answered_elsewhere() {
    let Some(mut told) = Told::start() else { return };
    told.close_dialog();
    let api = told.program.api();
    let session = api.new_session();
    api.say(&session, "go");
    let (got, message) = told.next();
    assert!(got.head.starts_with("POST /send/1 HTTP/1.1\r\n"), "{}", got.head);
    assert_eq!(got.header("content-encoding"), "aes128gcm");
    assert_eq!(message["what"], "question");
    assert_eq!(
        (&message["detail"], &message["machine"]),
        (&json!("make install"), &json!("laptop"))
    );
    told.page.deliver_push(told.program.url(), &message.to_string());
    let shown = told.page.wait_for(
        "a notification",
        "navigator.serviceWorker.ready.then((r) => r.getNotifications()).then((all) => all.length)",
    );
    assert_eq!(shown, json!(1));
    let shown = told.shown();
    assert_eq!(shown[0]["body"], "Bash: make install · laptop");
    assert_eq!(shown[0]["actions"], json!(["allow", "deny"]));

    api.allow(&session);
    let (_, over) = told.next();
    assert_eq!((&over["kind"], &over["tag"]), (&json!("over"), &message["tag"]));
    told.page.deliver_push(told.program.url(), &over.to_string());
    told.page.wait_for(
        "nothing",
        "navigator.serviceWorker.ready.then((r) => r.getNotifications()).then((all) => all.length === 0)",
    );

    // The next one is answered where it is shown.
    let (_, message) = told.next();
    assert_eq!(message["detail"], "make clean");
    told.page.deliver_push(told.program.url(), &message.to_string());
    told.page.wait_for(
        "a notification",
        "navigator.serviceWorker.ready.then((r) => r.getNotifications()).then((all) => all.length)",
    );
    told.page.tap_notification("deny");
    let answers = told.directory.path().join("answers");
    let denied = crate::support::poll(|| {
        let text = std::fs::read_to_string(&answers).unwrap_or_default();
        text.lines().nth(1).map(str::to_owned)
    });
    assert!(
        denied.as_deref().is_some_and(|line| line.contains(r#""behavior":"deny""#)),
        "{denied:?}"
    );
    told.page.assert_no_complaints();
}

#[test]
fn a_test_says_whether_it_arrived_and_what_is_chosen_is_kept() {
    let Some(mut told) = Told::start() else { return };
    told.page.click(&hook("notifications-test"));
    let (_, message) = told.next();
    assert_eq!(message["kind"], "test");
    told.page.deliver_push(told.program.url(), &message.to_string());
    told.page.see_text(&hook("notifications-said"), "It has arrived");

    told.page.click(&hook("quiet"));
    told.page.see_text(&hook("notifications-said"), "Saved");
    told.page.click("[data-machine=laptop] input");
    let list = || told.program.api().get("/v1/push/subscriptions").1;
    let muted = crate::support::poll(|| {
        let list = list();
        let preferences = &list["subscriptions"][0]["preferences"];
        (preferences["muted"] == json!(["laptop"]) && preferences["quiet"]["from"] == 1320)
            .then_some(())
    });
    assert!(muted.is_some(), "{}", list());

    told.page.click(&hook("notifications-toggle"));
    told.page.see_text(&hook("notifications-said"), "no longer told");
    assert_eq!(list(), json!({"subscriptions": []}));
    told.page.assert_no_complaints();
}
