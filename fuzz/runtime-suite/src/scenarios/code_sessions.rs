//! Sessions that travel by plain requests and streams of events (C): the same scenarios as over
//! WebSockets, and a client that knows nothing but what is written about the interface.

use super::stage::worker::over_version_2;
use super::{agents, callbacks, clocks, links, restarts, sessions, stops};
use crate::Runtime;

pub fn a_command_needs_permission_runs_and_shows_its_output<R: Runtime>() {
    over_version_2(sessions::a_command_needs_permission_runs_and_shows_its_output::<R>);
}

pub fn an_interrupt_withdraws_an_open_question<R: Runtime>() {
    over_version_2(sessions::an_interrupt_withdraws_an_open_question::<R>);
}

pub fn two_thousand_messages_go_to_the_agent_and_back_in_order<R: Runtime>() {
    over_version_2(links::two_thousand_messages_go_to_the_agent_and_back_in_order::<R>);
}

pub fn a_channel_that_keeps_breaking_loses_and_duplicates_nothing<R: Runtime>() {
    over_version_2(links::a_link_that_keeps_breaking_loses_and_duplicates_nothing::<R>);
}

pub fn output_while_the_relay_is_away_arrives_later<R: Runtime>() {
    over_version_2(links::output_while_the_relay_is_away_arrives_later::<R>);
}

pub fn a_relay_that_restarts_while_a_session_runs<R: Runtime>() {
    over_version_2(restarts::a_relay_that_restarts_while_a_session_runs::<R>);
}

pub fn a_worker_that_was_stopped_keeps_the_agents_of_its_sessions<R: Runtime>() {
    over_version_2(stops::a_worker_that_was_stopped_keeps_the_agents_of_its_sessions::<R>);
}

pub fn setting_the_clock_ends_no_session_and_stops_no_work<R: Runtime>() {
    over_version_2(clocks::setting_the_clock_ends_no_session_and_stops_no_work::<R>);
}

pub fn an_agent_that_dies_while_it_floods<R: Runtime>() {
    over_version_2(agents::one_that_dies_while_it_floods::<R>);
}

pub fn the_next_run_of_an_agent_is_told_of_the_hooks_before_it_works<R: Runtime>() {
    over_version_2(callbacks::the_next_run_of_an_agent_is_told_of_the_hooks_before_it_works::<R>);
}
