//! A session that is served without a relay, and its client (X-1, X-2).

use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use footbridge_core::base::id::SessionId;
use footbridge_core::base::secret::Secret;
use footbridge_core::contract::action::ProcessSpec;
use footbridge_core::contract::machine::{MachineErrorKind, Outcome};
use footbridge_core::direct::{
    Connect, ConnectCommand, ConnectConfig, ConnectNotice, Serve, ServeCommand, ServeConfig,
    ServeNotice,
};
use footbridge_smol::{Host, HostOptions, block_on, drive};

use super::stage::process::{pid_in, until_gone};
use super::stage::{PATIENCE, Proxy, until};
use crate::{HostSpec, Running, Runtime};

const TOKEN: &str = "the-token-of-a-direct-server";

/// It counts what it is given.
const COUNTS: &str =
    r#"n=0; while read -r line; do n=$((n + 1)); printf '{"type":"got","n":%d}\n' $n; done"#;

/// A server, on smol, on a thread of its own.
struct Server {
    address: String,
    commands: async_channel::Sender<ServeCommand>,
    thread: JoinHandle<Outcome>,
}

impl Server {
    fn start(directory: &Path, script: &str) -> Self {
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
        let (commands, asked) = async_channel::unbounded();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let host = Host::new(HostOptions::default()).expect("a host");
            block_on(drive(Serve::new(config), host, asked, |notice| {
                if let ServeNotice::Listening { address } = notice {
                    let _ = tell.send(address);
                }
            }))
        });
        let address = told.recv_timeout(PATIENCE).expect("it listens");
        Self { address, commands, thread }
    }
}

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
            seed: 7,
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
    let server = Server::start(home.path(), COUNTS);
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
    server.commands.try_send(ServeCommand::Shutdown).expect("it runs");
    assert_eq!(server.thread.join().expect("no panic"), Ok(()));
    assert_eq!(client.ends(), Ok(()));
}

pub fn a_direct_client_is_asked_and_answers_and_its_agents_tree_ends_with_the_server<R: Runtime>() {
    let home = tempfile::tempdir().expect("a directory");
    let script = r#"setsid sleep 1000 & echo $! > pid; trap 'exit 0' TERM
        printf '%s\n' '{"type":"control_request","request_id":"P","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"ls"}}}'
        while read -r line; do case $line in *'"allow"'*) printf '{"type":"allowed"}\n';; esac; done"#;
    let server = Server::start(home.path(), script);
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
    server.commands.try_send(ServeCommand::Shutdown).expect("it runs");
    assert_eq!(client.ends(), Ok(()), "it is told that the agent has ended");
    server.thread.join().expect("no panic").expect("the agent ends well");
    until_gone(stray);
}
