//! A chat driven by hand.

use alloc::borrow::ToOwned;

use bytes::Bytes;

use super::*;
use crate::base::id::OpId;
use crate::base::time::Now;
use crate::contract::action::{Action, Signal};
use crate::contract::event::Output;
use crate::testing::Hand;

struct Bench {
    hand: Hand<Chat>,
    agent: OpId,
}

impl Bench {
    fn new() -> Self {
        let agent = ProcessSpec {
            program: "agent".to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            env_remove: Vec::new(),
            directory: None,
        };
        let config = ChatConfig { agent, grace: Duration::from_secs(5), seed: 7 };
        let mut hand = Hand::new(Chat::new(config), Now::default());
        hand.trees_ended = Some(0);
        let agent = hand.take("spawn", |action| match action {
            Action::Spawn { op, .. } => Some(*op),
            _ => None,
        });
        hand.handle(Event::Spawned { op: agent, pid: 5 });
        let mut bench = Self { hand, agent };
        assert!(bench.written()[0].contains("initialize"), "it asks who the agent is");
        bench
    }

    fn terminal(&mut self, line: &str) {
        self.hand.command(ChatCommand::Terminal(Text::from(line.to_owned())));
    }

    fn viewers(&mut self, line: &str) {
        self.hand.command(ChatCommand::Viewers(Text::from(line.to_owned())));
    }

    fn prints(&mut self, line: &str) {
        let data = Bytes::from(format!("{line}\n"));
        self.hand.handle(Event::Stdout { op: self.agent, data });
    }

    /// What the agent was given.
    fn written(&mut self) -> Vec<String> {
        let mut written = Vec::new();
        self.hand.actions.retain(|action| match action {
            Action::Write { data, .. } => {
                written.push(String::from_utf8(data.to_vec()).expect("UTF-8"));
                false
            }
            _ => true,
        });
        written
    }

    /// What the terminal and the viewers were told.
    fn told(&mut self) -> (Vec<String>, Vec<String>) {
        let (mut terminal, mut viewers) = (Vec::new(), Vec::new());
        for notice in self.hand.notices.drain(..) {
            match notice {
                ChatNotice::Terminal { line, .. } => terminal.push(line.as_str().to_owned()),
                ChatNotice::Viewers(line) => viewers.push(line.as_str().to_owned()),
                _ => {}
            }
        }
        (terminal, viewers)
    }
}

const QUESTION: &str = r#"{"type":"control_request","request_id":"P","request":{"subtype":"can_use_tool","tool_name":"Bash","input":{"command":"ls"}}}"#;
const YES: &str = r#"{"type":"control_response","response":{"subtype":"success","request_id":"P","response":{"behavior":"allow"}}}"#;

#[test]
fn what_one_side_says_the_other_sees_and_the_agent_has_it_once() {
    let mut bench = Bench::new();
    bench.terminal(r#"{"type":"user","message":{"content":"here"}}"#);
    assert!(bench.written()[0].contains(r#""uuid":"#), "it has a name");
    let (terminal, viewers) = bench.told();
    assert!(terminal.is_empty() && viewers[0].contains("here"));
    bench.viewers(r#"{"type":"user","uuid":"U","message":{"content":"there"}}"#);
    assert_eq!(bench.written().len(), 1);
    let taken = ChatNotice::ViewersTaken { lines: 1 };
    assert!(bench.hand.notices.contains(&taken));
    let (terminal, viewers) = bench.told();
    assert!(terminal[0].contains("there") && viewers.is_empty());
    bench.viewers(r#"{"type":"user","uuid":"U","message":{"content":"there"}}"#);
    // Its echo is nothing new either.
    bench.prints(r#"{"type":"user","uuid":"U","message":{"content":"there"}}"#);
    assert_eq!((bench.written().len(), bench.told()), (0, (Vec::new(), Vec::new())));
    let result = r#"{"type":"result","subtype":"success"}"#;
    bench.prints(result);
    assert!(bench.hand.notices.contains(&ChatNotice::Turns(1)));
    assert_eq!(bench.told(), ([result.to_owned()].into(), [result.to_owned()].into()));
}

#[test]
fn a_question_goes_to_both_sides_and_the_first_answer_counts_wherever_it_comes_from() {
    for is_here in [true, false] {
        let mut bench = Bench::new();
        bench.prints(QUESTION);
        assert_eq!(bench.told(), ([QUESTION.to_owned()].into(), [QUESTION.to_owned()].into()));
        if is_here {
            bench.terminal(YES);
        } else {
            bench.viewers(YES);
        }
        let written = bench.written();
        assert!(written.len() == 1 && written[0].contains(r#""updatedInput":{"command":"ls"}"#));
        let (terminal, viewers) = bench.told();
        let (quiet, other) = if is_here { (terminal, viewers) } else { (viewers, terminal) };
        assert!(quiet.is_empty() && other[0].contains("control_cancel_request"), "{other:?}");
        if is_here {
            bench.viewers(YES);
        } else {
            bench.terminal(YES);
        }
        assert!(bench.written().is_empty(), "the second one is late");
    }
}

#[test]
fn requests_get_their_own_answers_and_the_agents_names_go_out() {
    let mut bench = Bench::new();
    bench.prints(r#"{"type":"control_response","response":{"subtype":"success","request_id":"client-1","response":{"commands":[{"name":"help"}],"agents":[{"name":"a"}],"models":[]}}}"#);
    let init = bench.hand.notices.iter().find_map(|notice| match notice {
        ChatNotice::Init(init) => Some((**init).clone()),
        _ => None,
    });
    let init = init.expect("what the agent says about itself");
    assert_eq!((init.commands, init.agents), (["help".to_owned()].into(), ["a".to_owned()].into()));
    bench.told();
    let request =
        r#"{"type":"control_request","request_id":"x","request":{"subtype":"interrupt"}}"#;
    bench.viewers(request);
    bench.terminal(request);
    assert_eq!(bench.written().len(), 2);
    for name in ["client-3", "client-2"] {
        let answer = format!(
            r#"{{"type":"control_response","response":{{"subtype":"success","request_id":"{name}"}}}}"#
        );
        bench.prints(&answer);
        let (terminal, viewers) = bench.told();
        assert_eq!(
            (terminal.len(), viewers.len()),
            if name == "client-3" { (1, 0) } else { (0, 1) }
        );
    }
}

#[test]
fn it_ends_with_its_agent() {
    let mut bench = Bench::new();
    bench.hand.command(ChatCommand::Behind(true));
    bench.hand.take("a pause", |action| matches!(action, Action::Pause { .. }).then_some(()));
    bench.hand.command(ChatCommand::Behind(false));
    bench.hand.take("a resume", |action| matches!(action, Action::Resume { .. }).then_some(()));
    bench.hand.command(ChatCommand::Shutdown);
    bench.hand.take("a signal", |action| match action {
        Action::Signal { signal, .. } => Some(*signal == Signal::Terminate),
        _ => None,
    });
    let op = bench.agent;
    bench.hand.handle(Event::OutputEnded { op, output: Output::Stdout });
    bench.hand.handle(Event::OutputEnded { op, output: Output::Stderr });
    bench.hand.handle(Event::Exited { op, status: ExitStatus::Signal(15) });
    assert_eq!(bench.hand.outcome, Some(Ok(())));
    assert!(bench.hand.notices.contains(&ChatNotice::Over(ExitStatus::Code(0))));
}

#[test]
fn an_agent_that_ends_unasked_is_told_as_it_ended() {
    let mut bench = Bench::new();
    let op = bench.agent;
    bench.hand.handle(Event::OutputEnded { op, output: Output::Stdout });
    bench.hand.handle(Event::OutputEnded { op, output: Output::Stderr });
    bench.hand.handle(Event::Exited { op, status: ExitStatus::Signal(9) });
    assert!(matches!(&bench.hand.outcome, Some(Err(error)) if error.message.contains("signal 9")));
    assert!(bench.hand.notices.contains(&ChatNotice::Over(ExitStatus::Signal(9))));
}

#[test]
fn what_runs_beside_an_agent_is_changed_at_its_terminal_alone() {
    let ask = r#"{"type":"control_request","request_id":"R","request":{"subtype":"apply_flag_settings","settings":{}}}"#;
    let mut bench = Bench::new();
    bench.viewers(ask);
    assert!(bench.written().is_empty());
    let (terminal, viewers) = bench.told();
    assert!(terminal.is_empty() && viewers.concat().contains(r#""request_id":"R""#), "{viewers:?}");
    bench.terminal(ask);
    assert_eq!(bench.written().len(), 1);
}
