//! The world: a part each for network, processes, repositories and the rest, and parties whose
//! machines it steps. It delivers events to machines, carries out their actions, and has everything
//! observable judged.

use std::collections::BTreeMap;
use std::time::Duration;

use footbridge_core::base::id::OpId;
use footbridge_core::base::time::Instant;
use footbridge_core::contract::event::{Event, ExitStatus};
use footbridge_core::contract::machine::{Outcome, Step};

use crate::fact::Fact;
use crate::ids::{Address, ConnId, End, HostId, Op, PartyId, ProcessId, Role};
use crate::mutants::{self, Mutant};
use crate::nodes::node::{NodeNotice, Order};
use crate::promises::Promises;
use crate::sim::census::{self, Census};
use crate::sim::cx::Cx;
use crate::sim::event::{Arrival, ProcessEvent, RepositoryEvent, SimEvent};
use crate::sim::network::Network;
use crate::sim::network::portal::is_foreign;
use crate::sim::process::{Processes, Upshot};
use crate::sim::repositories::Repositories;
use crate::sim::store::SimStore;
use crate::sim::tokens::Tokens;
use crate::sim::{files, observe};
use crate::trace;

/// Steps after one call before a machine counts as one that never waits.
const MAX_STEPS: usize = 200_000;

pub(crate) struct World {
    pub(crate) cx: Cx,
    pub(crate) network: Network,
    pub(crate) processes: Processes,
    pub(crate) store: SimStore,
    pub(crate) git: Repositories,
    pub(crate) tokens: Tokens,
    pub(crate) promises: Promises,
    pub(crate) census: Option<Census>,
}

impl World {
    /// Judges what could be observed of the last event.
    pub(crate) fn judge(&mut self) {
        for fact in std::mem::take(&mut self.cx.facts) {
            let verdict = self.promises.see(self.cx.at, &fact);
            if let Some((promise, words)) = verdict {
                self.cx.break_promise(promise, words);
            }
        }
    }

    /// At the end: what should be true by now.
    pub(crate) fn judge_the_end(&mut self) {
        self.git.note_worktrees(&mut self.cx, &self.processes);
        if let Some(before) = self.census.take() {
            census::judge(&mut self.cx, &self.network, &self.processes, before);
        }
        self.judge();
        if self.cx.violation.is_none()
            && let Some((promise, words)) = self.promises.end(self.cx.at)
        {
            self.cx.break_promise(promise, words);
        }
    }

    pub(crate) fn take_census(&mut self) {
        self.census = Some(census::one_sided(&self.cx, &self.network, &self.processes));
    }

    /// Something arrives at an end of a connection. A connection's last event is delivered before
    /// it is gone, because promises identify an end by its connection.
    pub(crate) fn arrive(&mut self, conn: ConnId, end: End, arrival: Arrival) {
        if let Some((to, last)) = self.network.arrive(&mut self.cx, conn, end, arrival) {
            self.deliver(to, last);
            self.network.forget(conn);
        }
    }

    pub(crate) fn process_event(&mut self, process: ProcessId, event: ProcessEvent) {
        let upshot = self.processes.event(&mut self.cx, process, event);
        self.follow(upshot);
    }

    /// Carries out a process's effects beyond itself.
    pub(crate) fn follow(&mut self, upshot: Option<Upshot>) {
        match upshot {
            None => {}
            Some(Upshot::Step(party)) => self.steps(party),
            Some(Upshot::Order(party, order)) => self.order(party, order),
            Some(Upshot::Exit(process, status)) => self.exit(process, status),
            Some(Upshot::Over(process)) => self.git.agent_is_over(&mut self.cx, process),
        }
    }

    /// A process ends, and with it the party that runs in it.
    fn exit(&mut self, process: ProcessId, status: ExitStatus) {
        if !self.processes.end(process) {
            return;
        }
        if let Some(party) = self.processes.shell_of(process)
            && self.cx.parties[party].is_up()
        {
            self.crash(party, false);
        }
        self.processes.bury(&mut self.cx, process, status);
        self.git.agent_is_over(&mut self.cx, process);
    }

    pub(crate) fn repository_event(&mut self, event: RepositoryEvent) {
        self.git.event(&mut self.cx, &self.processes, event);
    }

    /// Delivers an event, unless its receiver is gone.
    pub(crate) fn deliver(&mut self, to: Address, event: Event) {
        if !self.cx.is_alive(to) {
            return;
        }
        let host = self.cx.parties[to.party].host;
        if self.cx.hosts[host].is_suspended(self.cx.at) {
            self.cx.hosts[host].held.push((to, event));
            return;
        }
        let Some(op) = self.cx.parties[to.party].ops.get(&to.op).copied() else {
            // A response in flight when its operation was cancelled may still be delivered.
            if self.cx.rng.u8(..) < 24 {
                self.hand_in(to.party, event);
            }
            return;
        };
        // Not judged: networks and processes here send a few events before `Opened` or `Spawned`
        // that a runtime would hold back until then.
        let _ = self.cx.parties[to.party].checker.event(&event);
        if event.is_last() {
            self.cx.parties[to.party].ops.remove(&to.op);
        }
        observe::answer(&mut self.cx, to, op, &event);
        files::note(&mut self.cx, to, &event);
        self.hand_in(to.party, event);
    }

    pub(crate) fn hand_in(&mut self, id: PartyId, event: Event) {
        let party = &self.cx.parties[id];
        let now = self.cx.hosts[party.host].clock.now(self.cx.at).mono;
        // What is due is done as well, whatever the event.
        let is_due = party.deadline.is_some_and(|deadline| deadline <= now);
        self.cx.parties[id].is_misled = !is_due && is_foreign(&event);
        let Some(event) = mutants::events::mutated(&mut self.cx, &self.network, id, event) else {
            return;
        };
        let at = self.cx.at;
        let party = &mut self.cx.parties[id];
        self.cx.trace.record(at, &party.name, || format!("<- {}", trace::words(&event)));
        let now = self.cx.hosts[party.host].clock.now(at);
        if let Some(machine) = &mut party.machine {
            machine.handle(now, event);
        }
        self.steps(id);
    }

    pub(crate) fn order(&mut self, id: PartyId, order: Order) {
        let at = self.cx.at;
        let party = &mut self.cx.parties[id];
        let now = self.cx.hosts[party.host].clock.now(at);
        if self.cx.hosts[party.host].is_suspended(at) {
            let host = party.host;
            return self.cx.hosts[host].put_off.push(SimEvent::Order(id, order));
        }
        let Some(machine) = &mut party.machine else { return };
        self.cx.trace.record(at, &party.name, || format!("<- {order:?}"));
        machine.order(now, order);
        if order != Order::Settle {
            party.is_ordered_down = true;
        }
        self.steps(id);
    }

    pub(crate) fn wake(&mut self, id: PartyId, turn: u64) {
        let party = &self.cx.parties[id];
        if party.turn != turn || !party.is_up() {
            return;
        }
        let host = &mut self.cx.hosts[party.host];
        if host.is_suspended(self.cx.at) {
            host.put_off.push(SimEvent::Wake { party: id, turn });
        } else {
            self.hand_in(id, Event::Tick);
        }
    }

    /// Carries out a machine's steps until it waits.
    pub(crate) fn steps(&mut self, id: PartyId) {
        for _ in 0..MAX_STEPS {
            let Some(machine) = &mut self.cx.parties[id].machine else { return };
            match machine.step() {
                Step::Do(action) => {
                    for action in mutants::actions::mutated(&mut self.cx, id, action) {
                        self.perform(id, action);
                    }
                }
                Step::Tell(notice) => self.notice(id, notice),
                Step::Wait(deadline) => return self.wait(id, deadline),
                Step::Finished(outcome) => return self.finished(id, outcome),
            }
            if self.cx.violation.is_some() {
                return;
            }
        }
        let name = &self.cx.parties[id].name;
        let words = format!("{name} did not wait after {MAX_STEPS} steps");
        self.cx.break_promise("contract", words);
    }

    fn notice(&mut self, id: PartyId, notice: NodeNotice) {
        let at = self.cx.at;
        match notice {
            NodeNotice::Words(words) => {
                self.cx.trace.record(at, &self.cx.parties[id].name, || format!("tells {words}"));
            }
            NodeNotice::Seen(notice) => {
                self.cx.trace.record(at, &self.cx.parties[id].name, || format!("sees {notice:?}"));
                self.cx.fact(Fact::Viewed { viewer: id, notice });
            }
            NodeNotice::Signs { from } => {
                self.cx.trace.record(at, &self.cx.parties[id].name, || format!("signs as {from}"));
                self.cx.fact(Fact::Signed { from });
            }
            NodeNotice::SaidBefore { process, session, line } => {
                self.cx.fact(Fact::Printed { process, session, line, is_message: true });
            }
            NodeNotice::Machine(notice) => {
                self.cx.trace.record(at, &self.cx.parties[id].name, || format!("sees {notice:?}"));
                self.cx.fact(Fact::Machine(notice));
            }
            NodeNotice::Knocks(knock) => self.network.knock(&mut self.cx, id, knock),
        }
    }

    fn wait(&mut self, id: PartyId, deadline: Option<Instant>) {
        let deadline = if mutants::events::is_busy(&mut self.cx, id) {
            Some(Instant::ORIGIN)
        } else {
            deadline
        };
        let party = &mut self.cx.parties[id];
        party.turn += 1;
        party.deadline = deadline;
        let (turn, role, operations) = (party.turn, party.role, party.ops.len());
        let clock = &self.cx.hosts[party.host].clock;
        if let Some(deadline) = deadline {
            if deadline <= clock.now(self.cx.at).mono {
                let words = format!("{} waits for an instant that has passed", party.name);
                return self.cx.break_promise("contract", words);
            }
            // A runtime's timer is a little late, never early.
            let late = Duration::from_micros(self.cx.rng.u64(1..1500));
            let when = clock.when(deadline).saturating_add(late);
            self.cx.queue.note(when, SimEvent::Wake { party: id, turn });
        }
        self.cx.fact(Fact::Open { role, operations });
    }

    fn finished(&mut self, id: PartyId, outcome: Outcome) {
        let at = self.cx.at;
        let party = &mut self.cx.parties[id];
        self.cx.trace.record(at, &party.name, || format!("finished: {outcome:?}"));
        let (role, was_ordered) = (party.role, party.is_ordered_down);
        party.has_finished = true;
        let ops = party.die(at);
        if role == Role::Relay {
            self.store.lose_uncommitted(&mut self.cx.rng);
        }
        self.let_go(id, ops, false);
        self.tokens.look_after(&mut self.cx, id, role, &outcome);
        self.cx.fact(Fact::Finished { party: id, role, outcome, was_ordered });
        if let Role::Shell(process) = role {
            self.exit(process, ExitStatus::Code(0));
        }
        if role == Role::Relay {
            self.cx.later(Duration::from_secs(2), SimEvent::Restart(id));
        }
    }

    /// Kills a party: everything in its memory is gone.
    pub(crate) fn crash(&mut self, id: PartyId, is_silent: bool) {
        let at = self.cx.at;
        let party = &mut self.cx.parties[id];
        if !party.is_up() {
            return;
        }
        self.cx.trace.record(at, &party.name, || String::from("CRASHES"));
        let role = party.role;
        let ops = party.die(at);
        if role == Role::Relay {
            self.store.lose_uncommitted(&mut self.cx.rng);
            if self.cx.mutant == Some(Mutant::EarlyStored) {
                self.store.wipe();
            }
        }
        self.let_go(id, ops, is_silent);
        self.cx.fact(Fact::Crashed { party: id });
    }

    /// What the system does with what a dead process held.
    fn let_go(&mut self, id: PartyId, ops: BTreeMap<OpId, Op>, is_silent: bool) {
        for (_, op) in ops {
            match op {
                Op::Request(conn) | Op::Stream(conn, End::Client) => {
                    self.network.abandon(&mut self.cx, conn, End::Client, is_silent);
                }
                Op::Exchange(conn) | Op::Stream(conn, End::Server) => {
                    self.network.abandon(&mut self.cx, conn, End::Server, is_silent);
                }
                Op::Process(process) => {
                    self.processes.orphan(&mut self.cx, process);
                    // Whatever a dead process started is killed, by the kernel or by its guard.
                    if self.cx.mutant != Some(Mutant::LeavesAgents) {
                        let wait = self.cx.about(Duration::from_millis(5));
                        self.cx.later(wait, SimEvent::Process(process, ProcessEvent::Killed));
                    }
                }
                Op::Stdio(_) | Op::Listener | Op::Accept | Op::Single => {}
            }
        }
        files::abandon(&mut self.cx, id);
        self.network.refuse_backlog(&mut self.cx, id);
    }

    pub(crate) fn wake_up(&mut self, host: HostId) {
        if self.cx.hosts[host].is_suspended(self.cx.at) {
            return;
        }
        for party in 0..self.cx.parties.len() {
            if self.cx.parties[party].host == host {
                self.cx.fact(Fact::Woke { party });
            }
        }
        for (to, event) in std::mem::take(&mut self.cx.hosts[host].held) {
            self.cx.later(Duration::ZERO, SimEvent::Deliver(to, event));
        }
        for happening in std::mem::take(&mut self.cx.hosts[host].put_off) {
            self.cx.later(Duration::ZERO, happening);
        }
    }
}
