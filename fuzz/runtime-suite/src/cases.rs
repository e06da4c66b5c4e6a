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
            waiting_events_are_delivered_as_one_batch_followed_by_a_due_deadline,
            a_deadline_is_kept_and_brings_the_time,
            a_command_wakes_a_machine_that_waits_for_a_distant_deadline,
            a_deadline_and_commands_have_their_turn_while_events_pour_in,
            a_cancelled_operation_produces_no_more_events,
            an_unanswered_operation_does_not_keep_the_driver,
            actions_on_an_operation_never_started_do_nothing,
        );
        $crate::tests!($runtime, actions::addresses:
            an_address_that_swallows_everything_delays_a_connection_by_a_moment_only,
            a_host_of_which_no_address_answers_fails_within_the_time_limit,
        );
        $crate::tests!($runtime, actions::files:
            a_saved_file_can_be_loaded_and_is_private_to_its_owner,
            a_reader_sees_the_old_file_or_the_new_one_and_never_a_mixture,
            a_missing_file_is_no_error_but_an_unreadable_one_is,
            what_the_system_does_not_permit_is_denied,
            a_pipe_in_place_of_a_file_does_not_block_other_files,
            a_directory_is_listed_sorted_and_without_directories,
            a_save_that_fails_leaves_the_old_file,
            a_link_in_place_of_a_saved_file_is_not_followed,
            removing_and_listing_what_does_not_exist_succeeds,
            what_is_appended_follows_what_stays_and_the_rest_is_cut_off,
            a_file_that_is_shorter_than_it_should_be_is_left_as_it_is,
            the_end_of_a_file_is_read_with_the_length_of_all_of_it,
            a_lock_is_held_by_one_at_a_time_until_it_is_cancelled_or_its_holder_ends,
        );
        $crate::tests!($runtime, actions::http:
            a_request_is_sent_as_specified_and_its_response_is_complete,
            a_request_for_public_servers_reaches_none_of_this_network,
            chunked_and_close_delimited_responses_are_complete,
            a_truncated_or_malformed_response_is_a_failure_of_the_right_kind,
            an_endless_response_is_cut_off_at_its_limit,
            a_server_that_is_silent_or_slow_costs_no_more_than_the_time_limit,
            a_cancelled_request_closes_its_connection,
            a_refused_connection_an_unknown_name_and_an_invalid_url_are_distinguished,
            a_connection_is_reused_and_replaced_if_the_server_has_closed_it,
            a_request_that_is_not_idempotent_is_never_sent_twice,
            any_status_is_a_response_with_its_body,
            a_post_without_a_body_announces_its_length,
            a_dripping_server_is_cut_off_at_the_time_limit_and_not_before,
        );
        $crate::tests!($runtime, actions::http_stream:
            pieces_are_delivered_as_they_arrive_and_then_the_end,
            a_response_is_complete_only_if_its_end_was_announced,
            any_status_is_a_head_with_its_body,
            silence_is_bounded_before_the_head_and_after_each_piece,
            a_paused_response_holds_up_its_server_and_loses_nothing,
            a_requested_pause_does_not_count_as_silence,
            a_cancelled_response_closes_its_connection,
            a_connection_is_reused_after_the_end,
        );
        $crate::tests!($runtime, actions::process:
            a_signal_reaches_the_whole_group,
            a_child_that_holds_stdout_is_read_and_signalled_after_its_parents_exit,
            a_child_that_holds_nothing_is_still_signalled,
            environment_and_directory_are_as_specified,
            what_cannot_be_started_fails_and_says_what_is_missing,
            the_exit_of_a_process_is_reported_correctly,
            a_program_is_found_through_the_runtimes_own_path,
            a_signal_sent_before_the_process_starts_waits_for_it,
            a_grandchild_that_holds_stdout_outlives_the_exit_and_can_be_signalled,
            a_cancelled_process_loses_its_pipes_keeps_running_and_is_reaped,
        );
        $crate::tests!($runtime, actions::process_io:
            a_process_answers_its_stdin_and_ends_when_that_does,
            a_write_that_nobody_can_read_reports_that_the_input_is_closed,
            a_process_that_does_not_read_stops_only_its_own_input,
            a_paused_process_is_held_back_by_its_pipe,
            large_output_arrives_complete_and_in_order,
            what_is_written_comes_back_in_order,
            writes_to_a_process_that_has_stopped_reading_are_reported_as_lost,
            a_write_that_nobody_will_read_is_reported_at_the_exit,
            a_paused_process_waits_and_loses_nothing,
        );
        $crate::tests!($runtime, actions::run:
            a_command_answers_with_its_status_and_both_outputs,
            more_output_than_is_kept_does_not_block_it,
            a_cancelled_one_is_killed_and_reports_nothing,
            a_command_that_takes_too_long_is_killed_with_its_children,
            a_child_left_behind_does_not_delay_a_command,
        );
        $crate::tests!($runtime, actions::socket:
            messages_come_back_in_order_and_each_is_reported_as_sent,
            the_close_of_the_other_side_arrives_with_its_code_after_its_messages,
            a_sender_learns_the_other_sides_close_code,
            a_close_is_sent_after_everything_before_it,
            a_peer_that_never_answers_the_close_is_given_up,
            a_broken_connection_is_reported_as_broken,
            a_message_that_is_too_large_closes_with_1009,
            pings_are_answered_without_the_machine,
            a_paused_stream_holds_up_the_sender_and_loses_nothing,
            a_peer_that_reads_nothing_blocks_sending_until_the_cancel,
            a_cancelled_stream_produces_no_more_events,
        );
        $crate::tests!($runtime, actions::socket_opening:
            headers_and_subprotocol_reach_the_server,
            a_server_that_does_not_select_the_subprotocol_refuses,
            a_declined_upgrade_includes_the_complete_response,
            failures_before_the_opening_are_distinguished,
            a_silent_server_runs_into_the_time_limit_or_the_cancel,
            failures_name_the_place_but_no_secret,
        );
        $crate::tests!($runtime, actions::socket_raw:
            a_peer_that_pings_and_does_not_read_is_not_read_either,
            a_peer_that_does_not_read_does_not_stop_our_reading,
            protocol_violations_are_closed_with_the_right_code,
            an_unanswered_close_ends_in_time,
        );
        $crate::tests!($runtime, actions::stdio:
            #[ignore = "the other half of the cases below"]
            echo,
            stdin_is_read_and_stdout_stays_open_after_its_end,
            a_closed_stdout_ends_the_stream,
        );
        $crate::tests!($runtime, actions::local:
            a_local_socket_is_a_byte_stream_in_both_directions,
            what_came_before_the_other_side_went_away_is_read,
            what_came_before_a_message_could_not_be_sent_is_read,
            a_local_socket_that_is_not_there_or_not_listened_to_fails,
        );
        $crate::tests!($runtime, actions::trees:
            what_has_left_its_group_and_its_session_ends_with_the_tree,
            a_tree_whose_root_has_gone_is_found_by_its_mark,
            one_tree_ends_and_another_does_not,
            one_that_runs_away_is_caught,
        );
    };
    (@ client_only $runtime:path) => {
        $crate::tests!($runtime, actions::client_only:
            server_actions_fail_immediately,
        );
    };
    (@ tls $runtime:path) => {
        $crate::tests!($runtime, actions::tls:
            an_authority_from_a_file_is_trusted,
            a_certificate_of_the_server_itself_from_a_file_is_trusted,
            an_unknown_authority_is_not,
            a_file_without_certificates_is_refused_by_name,
            a_web_socket_under_tls_keeps_order_through_a_pause,
        );
    };
    (@ server $runtime:path) => {
        $crate::tests!($runtime, actions::local_server:
            a_listener_on_a_local_socket_is_its_owners_alone_and_goes_with_its_machine,
            a_socket_that_was_left_behind_is_replaced_and_one_in_use_or_no_socket_is_not,
        );
        $crate::tests!($runtime, actions::server:
            a_request_waits_for_an_accept_and_is_answered,
            no_more_requests_are_delivered_than_there_are_accepts,
            a_body_that_is_too_large_is_not_read_and_its_sender_gets_the_answer,
            a_malformed_body_is_reported_and_its_sender_gets_the_answer,
            a_coding_that_is_not_known_is_refused,
            a_target_that_names_its_host_is_right_about_it,
            a_client_that_leaves_while_it_is_held_is_reported_once,
            a_client_that_leaves_before_it_is_accepted_uses_up_no_accept,
            a_request_is_delivered_before_its_body_has_come,
            a_body_that_comes_too_slowly_is_given_up,
            whoever_takes_too_many_connections_loses_the_oldest,
            a_client_that_reads_too_slowly_is_cut_off,
            a_connection_serves_one_request_after_another,
            an_endless_or_malformed_head_is_cut_off,
            an_address_in_use_or_an_invalid_one_fails,
            a_cancelled_listener_finishes_its_reply_and_accepts_nobody,
            a_reply_is_sent_even_if_the_machine_ends_right_after_it,
            a_request_abandoned_by_the_machine_ends_without_a_response,
        );
        $crate::tests!($runtime, actions::socket_pair:
            messages_pass_unchanged_in_both_directions,
            ten_thousand_messages_arrive_in_order,
            a_close_arrives_after_what_was_sent_with_its_code,
            a_cut_stream_is_a_failure_at_the_other_end,
            a_message_over_the_limit_closes_with_1009,
            a_paused_stream_blocks_its_sender_and_nothing_else,
            a_server_that_selects_no_subprotocol_refuses,
            a_refusal_includes_the_beginning_of_its_response,
            a_request_that_is_not_a_handshake_cannot_be_upgraded,
            an_upgrade_of_a_client_that_has_left_opens_nothing,
        );
    };
    (@ server_stream $runtime:path) => {
        $crate::tests!($runtime, actions::server_stream:
            what_is_sent_arrives_as_it_is_sent_and_close_ends_it,
            complete_and_streamed_responses_combine_in_every_way,
            a_client_that_reads_nothing_is_cut_off_in_time,
            a_client_that_pauses_holds_up_the_server_and_loses_nothing,
            a_client_that_leaves_is_reported,
            a_cancelled_response_does_not_look_complete,
            a_response_without_a_body_is_closed_immediately,
        );
    };
    (@ tls_server $runtime:path) => {
        $crate::tests!($runtime, actions::tls_pair:
            a_client_that_trusts_the_servers_authority_speaks_https_and_wss_with_it,
            a_certificate_that_is_not_trusted_or_not_for_this_host_is_a_tls_failure,
            files_without_certificates_are_refused_at_the_start,
        );
    };
    (@ proxy $runtime:path) => {
        $crate::tests!($runtime, actions::proxy:
            a_request_goes_through_the_tunnel_of_a_proxy_that_resolves_its_name,
            a_proxy_that_cannot_be_reached_is_named,
            a_web_socket_goes_through_the_tunnel_of_a_proxy,
            a_proxy_that_says_nothing_costs_no_more_than_the_time_limit,
            a_proxy_that_refuses_a_tunnel_is_named,
        );
    };
}

/// Makes a `#[test]` of each scenario.
#[macro_export]
macro_rules! scenario_tests {
    ($runtime:path) => {
        $crate::tests!($runtime, field::a_clean_submodule_keeps_its_worktree_for_ever:
            only_what_is_nowhere_else_keeps_it,
        );
        $crate::tests!($runtime, field::a_worktree_that_could_not_be_made_leaves_its_branch:
            its_branch_goes_and_the_reason_is_told,
        );
        $crate::tests!($runtime, field::a_worktree_that_its_agent_removed_stays_locked:
            its_lock_and_branch_go,
            what_was_moved_stays_usable,
            a_session_that_returns_gets_a_new_one,
            a_branch_without_a_worktree_goes_at_the_next_start,
        );
        $crate::tests!($runtime, field::an_agent_is_not_found_although_it_is_there:
            what_is_really_missing_is_named,
            a_directory_that_may_not_be_searched_is_named,
            a_path_is_meant_from_where_it_was_typed,
        );
        $crate::tests!($runtime, field::half_a_proxy:
            a_proxy_that_names_the_relay_by_its_own_address_or_not_at_all_passes_sessions,
            a_proxy_that_passes_no_upgrade_is_named_and_the_session_fails_instead_of_waiting,
        );
        $crate::tests!($runtime, field::ignored_work_is_deleted_with_its_worktree:
            it_keeps_the_worktree_unless_it_can_be_made_again,
            what_its_owner_calls_disposable_goes,
        );
        $crate::tests!($runtime, field::long_pauses:
            maintenance_for_an_hour_that_ends_early_keeps_a_worker_away_for_minutes_only,
        );
        $crate::tests!($runtime, field::pages_of_others:
            a_page_in_the_relays_place_ends_neither_the_worker_nor_the_session,
            a_worker_that_starts_behind_a_captive_portal_waits_for_the_relay,
            a_refusal_of_the_relay_itself_keeps_its_meaning,
        );
        $crate::tests!($runtime, field::short_limits:
            work_comes_quickly_where_waiting_requests_are_answered_with_504,
            work_comes_quickly_where_waiting_requests_are_cut,
        );
        $crate::tests!($runtime, field::stopped_relays:
            a_relay_that_stood_still_until_the_leases_lapsed_keeps_its_sessions,
        );
        $crate::tests!($runtime, field::streams_do_not_get_through:
            one_that_falls_silent_without_closing_is_found_and_nothing_is_lost,
            one_that_is_cut_within_an_event_goes_on_after_the_last_whole_one,
            a_batch_whose_answer_is_lost_is_stored_once,
            a_credential_that_is_refused_is_replaced,
            a_page_in_the_relays_place_ends_neither_the_worker_nor_the_session,
            a_proxy_that_collects_them_is_named_once_and_sessions_travel_as_version_1,
            a_relay_without_version_2_is_served_as_version_1,
        );
        $crate::tests!($runtime, field::work_streams:
            work_comes_by_it_and_nothing_is_polled,
            a_proxy_that_collects_it_is_named_and_polls_bring_the_work,
            one_that_is_cut_within_an_item_brings_it_again_and_once,
            one_that_falls_silent_is_found_and_the_next_one_brings_the_work,
            a_relay_that_restarts_while_it_holds_one,
            a_relay_that_restarts_while_work_is_acknowledged,
        );
        $crate::tests!($runtime, field::the_pointer_shows_in_git_status:
            it_is_excluded_and_what_a_crash_left_is_removed,
        );
        $crate::tests!($runtime, field::two_workers_serve_one_directory_without_a_word:
            the_second_one_says_so,
        );
        $crate::tests!($runtime, field::commits_that_only_a_reflog_has_are_deleted:
            they_get_a_name,
            what_another_reference_has_gets_none,
            whoever_deletes_a_kept_worktree_deletes_what_was_shown,
        );
        $crate::tests!($runtime, field::work_that_git_status_does_not_show_is_deleted:
            it_keeps_the_worktree,
            what_is_elsewhere_too_does_not,
        );
        $crate::tests!($runtime, scenarios::agents:
            one_that_dies_before_its_first_byte,
            one_that_dies_with_a_question_open,
            one_that_dies_in_the_middle_of_a_line,
            one_that_dies_while_it_floods,
            one_that_ignores_sigterm_is_killed_after_the_grace_period,
            one_that_runs_for_too_long_times_out,
            one_whose_child_holds_its_stdout,
            one_that_closes_its_stdout_and_keeps_running,
            one_that_never_reads_blocks_nobody_else,
            one_that_does_not_exist_is_named,
            everything_that_an_agent_started_ends_with_it,
            what_one_writes_to_stderr_is_seen_while_it_runs,
        );
        $crate::tests!($runtime, scenarios::answers:
            a_lost_response_neither_orphans_nor_duplicates_anything,
            a_registration_whose_response_is_lost_is_retried,
            a_lost_response_to_the_deregistration_delays_nothing,
            a_dead_link_is_noticed_and_replaced,
            a_dead_poll_is_noticed_and_retried,
            a_worker_in_a_dead_network_ends_within_its_limits,
        );
        $crate::tests!($runtime, scenarios::clocks:
            setting_the_clock_ends_no_session_and_stops_no_work,
        );
        $crate::tests!($runtime, scenarios::command_line:
            each_error_has_its_exit_code_and_says_what_to_try,
            help_and_version_succeed,
            a_worker_that_cannot_reach_its_relay_says_when_it_will_retry_and_can_be_ended,
            once_it_is_ready_it_says_so_in_one_line_of_json,
            a_service_manager_hears_how_it_goes_and_its_agents_have_no_part_in_it,
            its_health_and_metrics_are_at_an_address_of_their_own,
        );
        $crate::tests!($runtime, scenarios::direct:
            a_direct_client_whose_connection_keeps_breaking_loses_and_doubles_nothing,
            a_direct_client_is_asked_and_answers_and_its_agents_tree_ends_with_the_server,
            a_direct_clients_hook_decides_and_lets_nothing_run_when_it_is_gone,
        );
        $crate::tests!($runtime, scenarios::disk:
            a_result_that_cannot_be_saved_is_still_reported,
            a_result_survives_its_workers_death_and_is_reported_by_the_next_run,
            what_a_full_disk_did_not_take_is_written_once_there_is_room,
            a_state_file_that_cannot_be_read_is_waited_for_and_kept,
        );
        $crate::tests!($runtime, scenarios::links:
            two_thousand_messages_go_to_the_agent_and_back_in_order,
            a_link_that_keeps_breaking_loses_and_duplicates_nothing,
            output_while_the_relay_is_away_arrives_later,
        );
        $crate::tests!($runtime, scenarios::imposter:
            whatever_takes_the_relays_port_is_sent_no_credential,
        );
        $crate::tests!($runtime, scenarios::restarts:
            a_relay_that_restarts_while_a_worker_registers,
            a_relay_that_restarts_while_a_poll_is_in_flight,
            a_relay_that_restarts_while_it_holds_a_poll,
            a_relay_that_restarts_while_work_is_acknowledged,
            a_relay_that_restarts_while_a_session_runs,
            a_relay_that_restarts_while_a_heartbeat_is_in_flight,
            a_relay_that_restarts_while_a_result_is_reported,
            a_relay_that_dies_while_a_worker_deregisters_is_not_waited_for,
            a_relay_that_starts_after_the_worker_is_found,
        );
        $crate::tests!($runtime, scenarios::secrets:
            the_program_shows_no_secret_and_passes_them_only_to_its_agent,
            a_refused_token_is_not_shown,
            no_printed_action_or_event_shows_a_secret,
            an_mcp_configuration_is_in_a_private_file_that_is_removed_with_its_session,
        );
        $crate::tests!($runtime, scenarios::mirrors:
            a_mirror_has_the_same_bytes_as_the_log_and_ends_with_the_session,
            a_mirror_waits_for_its_relay_and_shows_nothing_to_whoever_has_its_port,
        );
        $crate::tests!($runtime, scenarios::code_sessions:
            a_command_needs_permission_runs_and_shows_its_output,
            an_interrupt_withdraws_an_open_question,
            two_thousand_messages_go_to_the_agent_and_back_in_order,
            a_channel_that_keeps_breaking_loses_and_duplicates_nothing,
            output_while_the_relay_is_away_arrives_later,
            a_relay_that_restarts_while_a_session_runs,
            a_worker_that_was_stopped_keeps_the_agents_of_its_sessions,
            setting_the_clock_ends_no_session_and_stops_no_work,
            an_agent_that_dies_while_it_floods,
            the_next_run_of_an_agent_is_told_of_the_hooks_before_it_works,
            a_client_that_was_written_from_the_documentation_alone_runs_a_session,
            killed_again_and_again_a_worker_loses_doubles_and_leaves_nothing,
            a_session_outlives_its_workers_credentials,
        );
        $crate::tests!($runtime, scenarios::sessions:
            a_command_needs_permission_runs_and_shows_its_output,
            a_denied_command_does_not_run_and_an_edited_one_runs_as_edited,
            an_interrupt_ends_the_command_but_not_the_session,
            an_interrupt_withdraws_an_open_question,
            two_concurrent_sessions_do_not_interfere_and_a_third_waits_for_room,
            the_death_of_its_agent_is_a_sessions_result,
            a_shutdown_leaves_no_process_and_reports_how_the_sessions_ended,
            an_unknown_token_ends_the_worker_with_a_message,
            a_token_renewed_in_its_file_is_found_there,
        );
        $crate::tests!($runtime, scenarios::stops:
            a_worker_that_was_stopped_keeps_the_agents_of_its_sessions,
            a_worker_that_drains_ends_with_its_last_session,
        );
        $crate::tests!($runtime, scenarios::trees:
            a_stop_ends_the_whole_tree_before_the_result_is_told,
            a_time_limit_ends_the_whole_tree,
            the_death_of_the_agent_ends_the_whole_tree,
            the_end_of_the_worker_ends_the_whole_tree,
            the_death_of_the_worker_ends_the_whole_tree,
            the_next_worker_ends_what_nobody_else_has,
            what_a_killed_worker_left_is_left_alone_by_the_workers_of_other_directories,
            a_tool_that_hides_ends_with_the_last_session,
            a_session_that_begins_while_the_last_one_ends_is_left_alone,
            orphans_that_have_exited_are_reaped,
        );
        $crate::tests!($runtime, scenarios::worker_restarts:
            a_killed_worker_takes_its_environment_up_again_and_its_session_goes_on,
            an_agent_that_can_resume_is_given_the_id_of_its_conversation,
            an_agent_that_fails_to_resume_is_followed_by_a_new_one_that_gets_every_message,
            a_second_worker_for_a_directory_is_refused_unless_it_has_another_name,
            a_worker_that_hands_over_leaves_its_sessions_to_the_next_one,
            a_pointer_shows_a_running_session_and_goes_with_it,
        );
        $crate::tests!($runtime, scenarios::left_sessions:
            without_its_state_a_worker_continues_what_a_pointer_names_if_it_is_told_to,
            what_another_worker_left_is_continued_as_that_worker,
            what_ran_in_a_worktree_that_was_moved_goes_on_there,
            a_sibling_whose_worker_runs_is_passed_over_for_one_that_was_killed,
            a_session_whose_worker_runs_is_left_to_it,
            a_pointer_that_was_copied_with_its_directory_is_ignored_and_removed,
            what_another_user_has_left_is_theirs_to_continue,
        );
        $crate::tests!($runtime, scenarios::callbacks:
            a_client_that_has_declared_a_hook_decides_whether_the_tool_runs,
            a_tool_does_not_run_because_its_client_is_gone_or_silent,
            the_next_run_of_an_agent_is_told_of_the_hooks_before_it_works,
            an_mcp_server_of_a_client_answers_the_agent,
        );
        $crate::tests!($runtime, scenarios::viewers:
            on_a_connection_that_keeps_breaking_one_loses_and_doubles_nothing,
            one_answers_its_agent_and_interrupts_it,
            whatever_takes_the_relays_port_is_sent_no_credential_by_one,
        );
        $crate::tests!($runtime, scenarios::bridges:
            over_breaks_a_program_and_its_viewers_lose_and_double_nothing,
            a_viewer_answers_a_programs_question_and_sets_its_model,
            after_a_perpetual_teardown_the_next_run_takes_its_session_up,
            a_relay_that_has_forgotten_everything_gets_the_session_again,
        );
        $crate::tests!($runtime, scenarios::worker_storm:
            killed_again_and_again_a_worker_loses_doubles_and_leaves_nothing,
        );
        $crate::tests!($runtime, scenarios::git_programs:
            nothing_that_an_agent_makes_its_repository_name_is_run_by_the_workers_git,
            filters_of_the_owners_run_and_not_what_a_repository_makes_of_them,
            a_trusted_repositorys_filters_run_and_missing_objects_are_fetched_but_no_hook_runs,
            a_worker_started_from_a_git_hook_or_by_an_agent_passes_nothing_of_it_on,
        );
        $crate::tests!($runtime, scenarios::worktrees:
            a_session_has_its_own_worktree_and_branch_and_a_clean_one_is_removed,
            a_worktree_with_work_in_it_is_kept_and_named,
            a_commit_that_is_also_on_another_branch_survives_its_worktree,
            several_worktrees_do_not_interfere,
            a_worktree_left_by_an_earlier_run_is_picked_up_and_never_deleted_with_work_in_it,
            a_session_of_a_subdirectory_works_in_the_same_subdirectory_of_its_worktree,
            a_directory_without_possible_worktrees_is_a_clear_error,
            a_repository_that_was_moved_under_its_worker_is_named,
            a_bare_repository_has_worktrees_too,
        );
        $crate::tests!($runtime, scenarios::kept_worktrees:
            a_kept_worktree_is_offered_with_what_is_in_it,
            work_is_brought_into_a_branch_of_its_own,
            ignored_files_stay_unless_a_person_says_so,
            only_what_a_person_was_shown_is_deleted,
            a_request_waits_for_the_next_run_of_the_worker,
            a_worktree_whose_directory_was_removed_gives_its_commits_a_branch,
            a_commit_that_only_a_removed_worktree_had_is_named_in_the_log,
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
        written.append(&mut super::tests::written("field"));
        let listed = listed();
        assert!(written.len() > 100, "{}", written.len());
        let apart: Vec<_> = written.symmetric_difference(&listed).collect();
        assert!(apart.is_empty(), "only defined, or only listed: {apart:#?}");
    }
}
