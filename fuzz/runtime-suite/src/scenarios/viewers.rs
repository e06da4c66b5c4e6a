//! A viewer as a machine: it follows a session, speaks in it and answers its agent, whatever happens to
//! its connection.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use footbridge_core::auth::Credential;
use footbridge_core::base::id::SessionId;
use footbridge_core::base::secret::Secret;
use footbridge_core::base::text::Text;
use footbridge_core::engine::backoff::Track;
use footbridge_core::remote::{
    Remote, RemoteCommand, RemoteConfig, RemoteEvent, RemoteNotice, Sent,
};
use footbridge_core::wire::url::BaseUrl;
use footbridge_core::wire::viewer::{Behavior, Origin, PermissionPost};
use serde_json::{Value, json};

use super::imposter::{ANSWERS, Imposter, sent_nothing};
use super::stage::api::TOKEN;
use super::stage::worker::{config, script, shell_agent};
use super::stage::{Proxy, Relay, Session, Worker, until};
use crate::{HostSpec, Running, Runtime};

const MESSAGES: usize = 200;

/// A viewer that runs.
struct Viewer {
    running: Running<Remote>,
    notices: Arc<Mutex<Vec<RemoteNotice>>>,
}

impl Viewer {
    fn start<R: Runtime>(address: &str, session: &Session<'_>, seed: u64) -> Self {
        let relay = BaseUrl::parse(&format!("http://{address}")).expect("a URL");
        let id = SessionId::new(&session.id).expect("an id");
        let mut config = RemoteConfig::new(relay, id, Credential::fixed(Secret::from(TOKEN)), seed);
        let pause = Track {
            initial: Duration::from_millis(20),
            cap: Duration::from_millis(100),
            give_up: None,
        };
        (config.backoff.connection, config.backoff.general) = (pause, pause);
        let notices: Arc<Mutex<Vec<RemoteNotice>>> = Arc::default();
        let told = Arc::clone(&notices);
        let running = R::start(Remote::new(config), HostSpec::default(), move |notice| {
            told.lock().expect("no panic").push(notice);
        });
        Self { running, notices }
    }

    fn command(&self, command: RemoteCommand) {
        (self.running.command)(command);
    }

    fn say(&self, text: &str) {
        let message = json!({"type": "user", "message": {"role": "user", "content": text}});
        self.command(RemoteCommand::Send(Text::from(message.to_string())));
    }

    fn notices(&self) -> Vec<RemoteNotice> {
        self.notices.lock().expect("no panic").clone()
    }

    #[track_caller]
    fn tells<T>(&self, what: &str, pick: impl Fn(&RemoteNotice) -> Option<T>) -> T {
        until(what, || self.notices().iter().find_map(&pick))
    }

    /// How often it has told something.
    fn count(&self, is: impl Fn(&RemoteNotice) -> bool) -> usize {
        self.notices().iter().filter(|notice| is(notice)).count()
    }

    /// The texts that others have said, as it has told them.
    fn heard(&self) -> Vec<String> {
        let text = |notice: RemoteNotice| match notice {
            RemoteNotice::Event(RemoteEvent { from: Origin::Viewer, message, .. }) => {
                let message: Value = serde_json::from_str(message.as_str()).expect("JSON");
                message["message"]["content"].as_str().map(str::to_owned)
            }
            _ => None,
        };
        self.notices().into_iter().filter_map(text).collect()
    }

    #[track_caller]
    fn leaves(self) {
        self.command(RemoteCommand::Disconnect);
        until("the viewer ends", || self.running.thread.is_finished().then_some(()));
        assert_eq!(self.running.thread.join().expect("no panic"), Ok(()));
    }
}

pub fn on_a_connection_that_keeps_breaking_one_loses_and_doubles_nothing<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker = Worker::start::<R>(config(&relay.address, home.path(), script("exec cat")));
    let session = relay.session();
    session.running();
    let proxy = Proxy::to(&relay.address);
    let speaker = Viewer::start::<R>(&proxy.address, &session, 1);
    let listener = Viewer::start::<R>(&proxy.address, &session, 2);
    let is_accepted = |notice: &RemoteNotice| matches!(notice, RemoteNotice::Accepted { .. });
    for n in 0..MESSAGES {
        speaker.say(&n.to_string());
        if n % 20 == 10 {
            proxy.cut();
            until("it was accepted", || (speaker.count(is_accepted) > n).then_some(()));
        }
    }
    let expected: Vec<_> = (0..MESSAGES).map(|n| n.to_string()).collect();
    until("all is accepted", || (speaker.count(is_accepted) == MESSAGES).then_some(()));
    until("all is heard", || (listener.heard().len() >= MESSAGES).then_some(()));
    assert_eq!(listener.heard(), expected);
    assert_eq!(speaker.heard(), Vec::<String>::new(), "what it said does not come back");
    let said = session.from("viewer").into_iter();
    let said: Vec<_> = said.map(|message| message["message"]["content"].clone()).collect();
    assert_eq!(said, expected);
    assert!(speaker.count(|notice| matches!(notice, RemoteNotice::Disconnected { .. })) > 0);
    speaker.leaves();
    listener.leaves();
    worker.shut_down();
}

pub fn one_answers_its_agent_and_interrupts_it<R: Runtime>() {
    let (relay, home) = (Relay::start(), tempfile::tempdir().expect("a directory"));
    let worker = Worker::start::<R>(config(&relay.address, home.path(), shell_agent::<R>(&[])));
    let session = relay.session();
    let viewer = Viewer::start::<R>(&relay.address, &session, 1);
    viewer.say("echo begun > begun; exec sleep 1000");
    let asked = viewer.tells("a question", |notice| match notice {
        RemoteNotice::PermissionAsked(asked) => Some(asked.clone()),
        _ => None,
    });
    viewer.command(RemoteCommand::Answer(PermissionPost {
        request_id: asked.request_id.clone(),
        seq: None,
        behavior: Behavior::Allow,
        updated_input: None,
        message: None,
        interrupt: false,
        further: std::collections::BTreeMap::default(),
    }));
    viewer.tells("its answer is accepted", |notice| match notice {
        RemoteNotice::Accepted { sent: Sent::Answer { request_id }, .. } => {
            (*request_id == asked.request_id).then_some(())
        }
        _ => None,
    });
    until("it runs", || home.path().join("begun").exists().then_some(()));
    viewer.command(RemoteCommand::Interrupt);
    assert_eq!(session.turn(1)["subtype"], "error_during_execution");
    viewer.command(RemoteCommand::Stop);
    assert_eq!(session.result()["status"], "interrupted");
    viewer.leaves();
    worker.shut_down();
}

pub fn whatever_takes_the_relays_port_is_sent_no_credential_by_one<R: Runtime>() {
    let mut relay = Relay::start();
    let home = tempfile::tempdir().expect("a directory");
    let worker = Worker::start::<R>(config(&relay.address, home.path(), script("exec cat")));
    let viewer = {
        let session = relay.session();
        let viewer = Viewer::start::<R>(&relay.address, &session, 1);
        viewer.tells("it follows", |notice| {
            matches!(notice, RemoteNotice::Live { .. }).then_some(())
        });
        viewer
    };
    worker.shut_down();
    relay.kill();
    // A message that is just about to be sent meets whatever is there.
    viewer.tells("it is alone", |notice| {
        matches!(notice, RemoteNotice::Disconnected { .. }).then_some(())
    });
    viewer.say("are you there?");
    let heard = Imposter::at(&relay.address).ends_after(3 * ANSWERS.len());
    sent_nothing(&heard);
    // The relay in its place has lost the session, and says so once it has proved who it is.
    relay.restart();
    until("the viewer ends", || viewer.running.thread.is_finished().then_some(()));
    let ended = viewer.running.thread.join().expect("no panic");
    assert!(ended.is_err_and(|error| error.message.contains("does not have this session")));
    let notices = viewer.notices.lock().expect("no panic");
    assert!(notices.iter().any(|notice| matches!(
        notice,
        RemoteNotice::Unsent(Sent::Message { .. }) | RemoteNotice::Refused { .. }
    )));
}
