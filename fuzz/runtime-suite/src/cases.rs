//! The list of cases. The tests below make sure that none is forgotten.

/// Makes a `#[test]` of each action case for the abilities that a runtime has. Must be called at
/// the root of a test program: some cases start that program again to run one of its tests.
#[macro_export]
macro_rules! action_tests {
    ($runtime:path: $($ability:ident),+) => {
        $($crate::action_tests!(@ $ability $runtime);)+
    };
    (@ client $runtime:path) => {
        $crate::tests!($runtime, actions::driver:
            what_waits_is_handed_in_as_one_batch_and_a_deadline_that_is_due_at_its_end,
            a_deadline_is_kept_and_time_comes_in_with_it,
            a_command_wakes_a_machine_that_waits_for_a_far_deadline,
            a_deadline_and_commands_have_their_turn_while_events_pour_in,
            nothing_is_heard_of_an_operation_after_its_cancel,
            an_unanswered_operation_does_not_keep_the_driver,
            orders_to_what_was_never_started_do_nothing,
        );
        $crate::tests!($runtime, actions::files:
            what_was_saved_is_loaded_and_its_owners_alone,
            a_reader_sees_the_old_file_or_the_new_one_and_never_a_part,
            a_file_that_is_not_there_is_no_error_and_one_that_cannot_be_had_is,
            what_the_system_does_not_permit_is_denied,
            a_pipe_in_the_place_of_a_file_does_not_hold_the_others_up,
            a_directory_is_listed_sorted_and_without_directories,
            a_save_that_fails_leaves_the_old_file,
            a_link_in_the_way_of_a_save_is_not_followed,
            removing_and_listing_take_what_is_not_there_for_done,
        );
        $crate::tests!($runtime, actions::http:
            a_request_goes_out_as_asked_and_its_answer_comes_back_whole,
            a_chunked_answer_and_one_that_ends_with_its_connection_come_whole,
            an_answer_that_breaks_off_or_is_none_is_a_failure_of_its_kind,
            an_endless_answer_is_cut_at_its_limit,
            a_server_that_is_silent_or_slow_costs_no_more_than_the_time_limit,
            a_cancelled_request_closes_its_connection,
            nobody_there_no_such_name_and_no_url_are_told_apart,
            a_connection_is_used_again_and_replaced_if_the_server_has_closed_it,
            what_may_not_be_repeated_is_not_sent_again_once_it_has_left,
            any_status_is_an_answer_with_its_body,
            a_request_without_body_that_should_have_one_says_so,
            a_server_that_drips_runs_into_the_time_limit_and_not_before_it,
        );
        $crate::tests!($runtime, actions::http_stream:
            pieces_are_handed_in_as_they_come_and_then_the_end,
            an_end_is_proper_only_where_it_was_announced,
            any_status_is_a_head_with_its_body,
            silence_is_bounded_before_the_head_and_after_each_piece,
            a_paused_answer_holds_its_server_up_and_loses_nothing,
            a_silence_that_was_asked_for_is_no_silence,
            a_cancelled_answer_closes_its_connection,
            a_connection_is_used_again_after_the_end,
        );
        $crate::tests!($runtime, actions::process:
            a_signal_reaches_the_whole_group,
            a_child_that_holds_stdout_is_heard_and_reached_after_its_parents_end,
            a_child_that_holds_nothing_is_still_reached,
            environment_and_directory_are_as_asked,
            what_cannot_be_started_fails_and_says_what_is_missing,
            the_end_of_a_process_is_told_as_it_was,
            the_environment_and_directory_are_those_that_were_asked_for,
            a_signal_that_comes_before_the_process_waits_for_it,
            a_grandchild_that_holds_stdout_outlives_the_exit_and_can_be_signalled,
            a_cancelled_process_loses_its_pipes_lives_on_and_is_reaped,
        );
        $crate::tests!($runtime, actions::process_io:
            a_process_answers_its_stdin_and_ends_when_that_does,
            a_write_that_nobody_reads_says_that_the_input_is_closed,
            a_process_that_does_not_read_stops_only_its_own_input,
            a_paused_process_is_held_back_by_its_pipe,
            large_output_comes_whole_and_in_order,
            what_is_written_comes_back_in_order,
            writes_to_one_that_reads_no_more_are_told_as_lost,
            a_write_that_nobody_will_read_is_told_at_the_exit,
            a_paused_process_waits_and_loses_nothing,
        );
        $crate::tests!($runtime, actions::run:
            a_command_answers_with_its_status_and_both_outputs,
            more_output_than_is_kept_does_not_hold_it_up,
            a_cancelled_one_is_killed_and_says_nothing,
            a_command_that_takes_too_long_is_killed_with_its_children,
            a_child_left_behind_does_not_hold_a_command_up,
        );
        $crate::tests!($runtime, actions::socket:
            messages_come_back_in_order_and_each_is_told_as_sent,
            the_close_of_the_other_side_arrives_with_its_code_after_its_messages,
            the_code_of_the_other_side_is_heard_by_one_that_is_sending,
            closing_lets_everything_before_it_leave_first,
            a_peer_that_never_answers_the_close_is_given_up,
            a_connection_that_breaks_is_told_as_broken,
            a_message_that_is_too_large_closes_with_1009,
            pings_are_answered_without_the_machine,
            a_paused_stream_holds_the_sender_up_and_loses_nothing,
            a_peer_that_reads_nothing_holds_sending_up_until_the_cancel,
            what_was_cancelled_says_nothing_more,
        );
        $crate::tests!($runtime, actions::socket_opening:
            headers_and_subprotocol_reach_the_server,
            a_server_that_does_not_select_the_subprotocol_has_refused,
            a_declined_upgrade_comes_with_the_whole_answer,
            what_goes_wrong_before_it_opens_is_told_apart,
            a_silent_server_runs_into_the_time_limit_or_the_cancel,
            failures_name_the_place_and_no_secret,
        );
        $crate::tests!($runtime, actions::socket_raw:
            a_peer_that_does_not_read_does_not_stop_our_reading,
            what_breaks_the_websocket_protocol_is_closed_with_its_code,
            a_close_that_is_not_answered_ends_in_time,
        );
        $crate::tests!($runtime, actions::stdio:
            #[ignore = "the other half of the cases below"]
            echo,
            stdin_comes_in_and_stdout_stays_open_after_its_end,
            a_stdout_that_is_gone_ends_the_stream,
        );
    };
    (@ client_only $runtime:path) => {
        $crate::tests!($runtime, actions::client_only:
            what_only_a_server_can_do_fails_at_once,
        );
    };
    (@ tls $runtime:path) => {
        $crate::tests!($runtime, actions::tls:
            an_authority_from_a_file_is_trusted,
            an_unknown_authority_is_not,
            a_file_without_certificates_is_refused_by_name,
            a_web_socket_under_tls_keeps_order_through_a_pause,
        );
    };
    (@ server $runtime:path) => {
        $crate::tests!($runtime, actions::server:
            a_request_waits_for_leave_and_is_answered,
            at_most_as_many_requests_are_asked_as_there_is_leave_for,
            a_body_that_is_too_large_is_not_read_and_its_sender_gets_the_answer,
            a_client_that_leaves_while_it_is_held_is_reported_once,
            a_client_that_leaves_before_it_was_asked_costs_no_leave,
            a_connection_serves_one_request_after_the_other,
            a_head_that_never_ends_or_is_none_does_not_stay,
            an_address_that_is_taken_or_none_fails,
            a_cancelled_listener_lets_the_reply_under_way_out_and_nobody_in,
            a_reply_leaves_even_if_the_machine_ends_right_after_it,
            a_request_given_up_by_the_machine_ends_without_an_answer,
        );
        $crate::tests!($runtime, actions::server_stream:
            what_is_sent_arrives_as_it_is_sent_and_close_ends_it,
            whole_and_streamed_meet_in_every_way,
            a_client_that_reads_nothing_is_cut_off_in_time,
            a_client_that_pauses_holds_the_server_up_and_loses_nothing,
            a_client_that_leaves_is_told,
            a_cancelled_answer_does_not_look_complete,
            an_answer_without_a_body_is_closed_at_once,
        );
        $crate::tests!($runtime, actions::socket_pair:
            messages_pass_both_ways_as_they_are,
            ten_thousand_messages_arrive_in_order,
            a_close_comes_after_what_was_sent_and_brings_its_code,
            a_cut_stream_is_a_failure_at_the_other_end,
            a_message_over_the_limit_closes_with_1009,
            a_paused_stream_holds_its_sender_and_nothing_else,
            a_server_that_selects_no_subprotocol_has_refused,
            a_refusal_comes_with_the_beginning_of_its_answer,
            a_request_that_is_no_handshake_cannot_be_upgraded,
            an_upgrade_of_a_client_that_has_left_opens_nothing,
        );
    };
    (@ tls_server $runtime:path) => {
        $crate::tests!($runtime, actions::tls_pair:
            a_client_that_trusts_the_servers_authority_speaks_https_and_wss_with_it,
            a_certificate_that_is_not_trusted_or_not_for_this_host_is_a_tls_failure,
            files_that_are_no_certificates_are_refused_at_the_start,
        );
    };
    (@ proxy $runtime:path) => {
        $crate::tests!($runtime, actions::proxy:
            a_request_goes_through_the_tunnel_of_a_proxy_that_resolves_its_name,
            a_proxy_that_gives_no_tunnel_is_a_refusal_that_names_it,
        );
    };
}

/// Makes a `#[test]` of each scenario.
#[macro_export]
macro_rules! scenario_tests {
    ($runtime:path) => {
        $crate::tests!($runtime, scenarios::agents:
            one_that_dies_before_its_first_byte,
            one_that_dies_with_a_question_open,
            one_that_dies_in_the_middle_of_a_line,
            one_that_dies_while_it_floods,
            one_that_takes_no_sigterm_is_killed_after_the_grace,
            one_that_goes_on_for_too_long_has_timed_out,
            one_whose_child_holds_its_stdout,
            one_that_closes_its_stdout_and_lives_on,
            one_that_never_reads_holds_nobody_else_up,
            one_that_is_not_there_is_named,
            everything_that_an_agent_started_ends_with_it,
        );
        $crate::tests!($runtime, scenarios::answers:
            a_lost_answer_neither_orphans_nor_doubles_anything,
            a_lost_answer_to_the_registration_is_asked_for_again,
            a_lost_answer_to_the_deregistration_holds_nothing_up,
            a_link_that_leads_nowhere_is_noticed_and_made_anew,
            a_poll_that_leads_nowhere_is_noticed_and_asked_again,
            a_worker_in_a_dead_network_ends_within_its_limits,
        );
        $crate::tests!($runtime, scenarios::clocks:
            a_clock_that_is_set_ends_no_session_and_stops_no_work,
        );
        $crate::tests!($runtime, scenarios::command_line:
            each_error_has_its_exit_code_and_says_what_to_try,
            help_and_version_end_well,
            a_worker_that_cannot_reach_its_relay_says_when_it_tries_again_and_can_be_ended,
            once_it_is_ready_it_says_so_in_one_line_of_json,
        );
        $crate::tests!($runtime, scenarios::disk:
            a_result_that_no_file_can_keep_is_reported_all_the_same,
            a_result_survives_the_death_of_its_worker_and_is_told_by_the_next_run,
        );
        $crate::tests!($runtime, scenarios::links:
            two_thousand_messages_go_to_the_agent_and_back_in_order,
            a_link_that_breaks_again_and_again_loses_nothing_and_doubles_nothing,
            what_an_agent_says_while_the_relay_is_away_arrives_later,
        );
        $crate::tests!($runtime, scenarios::restarts:
            a_relay_that_restarts_while_a_worker_registers,
            a_relay_that_restarts_while_a_poll_is_on_its_way,
            a_relay_that_restarts_while_it_holds_a_poll,
            a_relay_that_restarts_while_work_is_acknowledged,
            a_relay_that_restarts_while_a_session_runs,
            a_relay_that_restarts_while_a_heartbeat_is_on_its_way,
            a_relay_that_restarts_while_a_result_is_reported,
            a_relay_that_dies_while_a_worker_deregisters_is_not_waited_for,
            a_relay_that_was_away_before_the_worker_started_is_found_when_it_comes,
        );
        $crate::tests!($runtime, scenarios::secrets:
            the_program_shows_no_secret_and_hands_none_on_but_to_its_agent,
            a_token_that_is_refused_is_not_shown,
            nothing_that_a_machine_asks_for_or_hears_shows_a_secret_when_it_is_printed,
            an_mcp_configuration_is_in_a_file_of_its_owner_alone_and_goes_with_its_session,
        );
        $crate::tests!($runtime, scenarios::sessions:
            a_command_is_asked_about_runs_and_tells_what_it_printed,
            a_denied_command_does_not_run_and_an_edited_one_runs_as_it_was_edited,
            an_interrupt_ends_the_command_and_not_the_session,
            an_interrupt_withdraws_an_open_question,
            two_sessions_at_once_do_not_meet_and_a_third_waits_for_room,
            the_death_of_its_agent_is_a_sessions_result,
            a_shutdown_leaves_no_process_and_tells_what_became_of_the_sessions,
            a_token_that_the_relay_does_not_know_ends_the_worker_and_says_so,
            a_token_that_was_renewed_in_its_file_is_found_there,
        );
        $crate::tests!($runtime, scenarios::worktrees:
            a_session_works_in_a_tree_and_on_a_branch_of_its_own_and_a_clean_one_is_removed,
            a_tree_with_something_in_it_is_kept_and_named,
            a_commit_that_is_on_another_branch_too_goes_nowhere_with_its_tree,
            several_at_once_do_not_meet,
            a_tree_that_an_earlier_run_left_is_taken_up_and_never_deleted_with_work_in_it,
            a_tree_with_a_submodule_is_removed_only_if_nothing_was_put_into_the_submodule,
            a_session_of_a_directory_below_works_in_the_same_directory_of_its_tree,
            a_directory_of_which_no_worktree_can_be_made_is_a_clear_error,
            a_bare_repository_has_worktrees_too,
        );
    };
}

/// The tests of one module of a suite.
#[doc(hidden)]
#[macro_export]
macro_rules! tests {
    ($runtime:path, $suite:ident::$module:ident: $($(#[$attribute:meta])* $case:ident,)+) => {
        mod $module {
            $(
                #[test]
                $(#[$attribute])*
                fn $case() {
                    $crate::$suite::$module::$case::<$runtime>();
                }
            )+
        }
    };
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    /// Each `module::case` defined in a suite's files.
    fn written(suite: &str) -> BTreeSet<String> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(suite);
        let files =
            std::fs::read_dir(directory).expect("the sources").map(|file| file.expect("one"));
        let mut cases = BTreeSet::new();
        for path in files.map(|file| file.path()).filter(|path| path.is_file()) {
            let module = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).expect("text");
            let names = text.lines().filter_map(|line| line.strip_prefix("pub fn "));
            let names = names.filter_map(|line| line.split_once('<'));
            cases.extend(names.map(|(name, _)| format!("{suite}::{module}::{name}")));
        }
        cases
    }

    /// Each one listed in the macros above.
    fn listed() -> BTreeSet<String> {
        let mut module = "";
        let mut cases = BTreeSet::new();
        for line in include_str!("cases.rs").lines().map(str::trim) {
            if let Some(rest) = line.strip_prefix("$crate::tests!($runtime, ") {
                module = rest.trim_end_matches(':');
            } else if line == ");" {
                module = "";
            } else if let Some(name) = line.strip_suffix(',').filter(|_| !module.is_empty()) {
                cases.insert(format!("{module}::{name}"));
            }
        }
        cases
    }

    #[test]
    fn every_case_is_listed_and_every_listed_case_exists() {
        let mut written = written("actions");
        written.append(&mut super::tests::written("scenarios"));
        let listed = listed();
        assert!(written.len() > 100, "{}", written.len());
        let apart: Vec<_> = written.symmetric_difference(&listed).collect();
        assert!(apart.is_empty(), "only defined, or only listed: {apart:#?}");
    }
}
