//! A session that is served without a relay, and its client (X-1, X-2).

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use footbridge_core::base::id::SessionId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::contract::action::ProcessSpec;
use footbridge_core::contract::machine::{MachineErrorKind, Outcome};
use footbridge_core::direct::{
    Connect, ConnectCommand, ConnectConfig, ConnectNotice, Serve, ServeCommand, ServeConfig,
    ServeNotice,
};

use super::stage::process::{pid_in, until_gone};
use super::stage::{PATIENCE, Proxy, until};
use crate::{HostSpec, Running, Runtime};

const TOKEN: &str = "the-token-of-a-direct-server";

/// It counts what it is given.
const COUNTS: &str =
    r#"n=0; while read -r line; do n=$((n + 1)); printf '{"type":"got","n":%d}\n' $n; done"#;

struct Server {
    address: String,
    running: Running<Serve>,
}

impl Server {
    fn start<R: Runtime>(directory: &Path, script: &str) -> Self {
        let config = ServeConfig {
            listen: "127.0.0.1:0".to_owned(),
            hosts: Vec::new(),
            token: Secret::from(TOKEN),
            session: SessionId::new("session_1").expect("an id"),
            run: "run".to_owned(),
            peers: None,
            agent: ProcessSpec {
                program: "sh".to_owned(),
                args: ["-c", script].map(str::to_owned).to_vec(),
                env: Vec::new(),
                env_remove: Vec::new(),
                directory: directory.to_str().map(str::to_owned),
            },
            grace: Duration::from_secs(5),
        };
        let (tell, told) = mpsc::channel();
        let running = R::start(Serve::new(config), HostSpec::default(), move |notice| {
            if let ServeNotice::Listening { address } = notice {
                let _ = tell.send(address);
            }
        });
        let address = told.recv_timeout(PATIENCE).expect("it listens");
        Self { address, running }
    }

    fn shut_down(&self) {
        (self.running.command)(ServeCommand::Shutdown);
    }

    fn ends(self) -> Outcome {
        self.running.thread.join().expect("no panic")
    }
}

/// Each client has its own, and so a name of its own.
static SEEDS: AtomicU64 = AtomicU64::new(7);

struct Client {
    running: Running<Connect>,
    told: mpsc::Receiver<ConnectNotice>,
}

impl Client {
    fn start<R: Runtime>(address: &str, token: &str) -> Self {
        let machine = Connect::new(ConnectConfig {
            url: format!("ws://{address}/v1/direct/session_1"),
            token: Some(Secret::from(token)),
            give_up: Duration::from_secs(600),
            seed: SEEDS.fetch_add(1, Ordering::Relaxed),
        });
        let (tell, told) = mpsc::channel();
        let running = R::start(machine, HostSpec::default(), move |notice| drop(tell.send(notice)));
        Self { running, told }
    }

    fn command(&self, command: ConnectCommand) {
        (self.running.command)(command);
    }

    fn tells<T>(&self, is: impl Fn(ConnectNotice) -> Option<T>) -> T {
        loop {
            let notice = self.told.recv_timeout(PATIENCE).expect("it says so");
            if let Some(found) = is(notice) {
                return found;
            }
        }
    }

    /// The next number that the agent has counted to.
    fn counted(&self) -> usize {
        self.tells(|notice| {
            let ConnectNotice::Message(line) = notice else { return None };
            let number = line.as_str().strip_prefix(r#"{"type":"got","n":"#)?.strip_suffix('}')?;
            number.parse().ok()
        })
    }

    fn ends(self) -> Outcome {
        self.running.thread.join().expect("no panic")
    }
}

pub fn a_direct_client_whose_connection_keeps_breaking_loses_and_doubles_nothing<R: Runtime>() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start::<R>(home.path(), COUNTS);
    let proxy = Proxy::to(&server.address);
    let client = Client::start::<R>(&proxy.address, TOKEN);
    client
        .tells(|notice| matches!(notice, ConnectNotice::Connected { resumes: true }).then_some(()));
    let (rounds, each) = (10, 50);
    for round in 0..rounds {
        for n in 0..each {
            client.command(ConnectCommand::Say(format!("{round}-{n}")));
        }
        let before = proxy.accepted();
        proxy.cut();
        until("it connects again", || (proxy.accepted() > before).then_some(()));
    }
    let counted: Vec<usize> = (0..rounds * each).map(|_| client.counted()).collect();
    assert_eq!(counted, (1..=rounds * each).collect::<Vec<_>>());
    server.shut_down();
    assert_eq!(server.ends(), Ok(()));
    assert_eq!(client.ends(), Ok(()));
}

pub fn a_direct_client_is_asked_and_answers_and_its_agents_tree_ends_with_the_server<R: Runtime>() {
    let home = tempfile::tempdir().expect("a directory");
    let script = r#"setsid sleep 1000 & echo $! > pid; trap 'exit 0' TERM
        printf '%s\n' '{"type":"control_request","request_id":"P","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"ls"}}}'
        while read -r line; do case $line in *'"allow"'*) printf '{"type":"allowed"}\n';; esac; done"#;
    let server = Server::start::<R>(home.path(), script);
    let stray = pid_in(&home.path().join("pid"));
    let wrong = Client::start::<R>(&server.address, "a-wrong-token");
    let refused = wrong.ends().expect_err("refused");
    assert_eq!(refused.kind, MachineErrorKind::Unauthorized, "{refused}");
    // It was asked before anybody was there.
    let client = Client::start::<R>(&server.address, TOKEN);
    let request_id = client.tells(|notice| match notice {
        ConnectNotice::Asked { request_id, .. } => Some(request_id),
        _ => None,
    });
    client.command(ConnectCommand::Answer { request_id, deny: None });
    client.tells(|notice| match notice {
        ConnectNotice::Message(line) => (line.as_str() == r#"{"type":"allowed"}"#).then_some(()),
        _ => None,
    });
    server.shut_down();
    assert_eq!(client.ends(), Ok(()), "it is told that the agent has ended");
    server.ends().expect("the agent ends well");
    until_gone(stray);
}

/// It asks a guard before each tool, and says whether the tool ran.
const GUARDED: &str = r#"n=0; while read -r line; do case $line in
    *'"deny"'*) printf '{"type":"kept"}\n';;
    *control_response*) printf '{"type":"ran"}\n';;
    *'"user"'*) n=$((n + 1)); printf '{"type":"control_request","request_id":"H%d","request":{"subtype":"hook_callback","callback_id":"h","input":{"hook_event_name":"PreToolUse"}}}\n' $n;;
    esac; done"#;

const DECLARED: &str = r#"{"type":"control_request","request_id":"i","request":{"subtype":"initialize","hooks":{"PreToolUse":[{"hookCallbackIds":["h"],"timeout":1}]}}}"#;

pub fn a_direct_clients_hook_decides_and_lets_nothing_run_when_it_is_gone<R: Runtime>() {
    let home = tempfile::tempdir().expect("a directory");
    let server = Server::start::<R>(home.path(), GUARDED);
    let (client, other) =
        (Client::start::<R>(&server.address, TOKEN), Client::start::<R>(&server.address, TOKEN));
    let said = |client: &Client, wanted: &str| {
        client.tells(|notice| match notice {
            ConnectNotice::Message(line) => (line.as_str() == wanted).then_some(()),
            ConnectNotice::Asked { .. } => panic!("it is asked what is another's to answer"),
            _ => None,
        });
    };
    client.command(ConnectCommand::Pass(Text::from(DECLARED)));
    client.command(ConnectCommand::Say("use a tool".into()));
    let asked = client.tells(|notice| match notice {
        ConnectNotice::Asked { request_id, .. } => Some(request_id),
        _ => None,
    });
    let answer = r#"{"type":"control_response","response":{"subtype":"success","request_id":"ID","response":{}}}"#;
    client.command(ConnectCommand::Pass(Text::from(answer.replace("ID", &asked))));
    said(&other, r#"{"type":"ran"}"#);
    client.command(ConnectCommand::Disconnect);
    assert_eq!(client.ends(), Ok(()));
    other.command(ConnectCommand::Say("and again".into()));
    said(&other, r#"{"type":"kept"}"#);
    server.shut_down();
    assert_eq!(other.ends(), Ok(()));
    server.ends().expect("the agent ends well");
}
