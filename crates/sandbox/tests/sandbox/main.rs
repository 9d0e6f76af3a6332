//! The sandbox, from outside: real environments with a Python in them. Needs root. The program acts as the spawner,
//! too, so it has a `main` of its own.

#![allow(clippy::unwrap_used)]

mod ahead;
mod beside;
mod harness;
mod isolation;
mod layers;
mod life;
mod limits;
mod network;
mod reader;
mod server;
mod snapshot;
mod syscalls;

use harness::{Case, case, network_case};

const CASES: &[Case] = &[
    case!(isolation::it_is_an_unprivileged_user),
    case!(isolation::every_namespace_is_its_own),
    case!(isolation::only_its_own_processes_are_visible),
    case!(isolation::the_root_is_composed_and_read_only),
    case!(isolation::proc_tells_nothing_of_the_machine),
    case!(isolation::the_network_is_its_own_loopback),
    case!(isolation::the_runtime_api_and_the_servers_answer_inside),
    case!(isolation::a_socket_from_outside_connects_to_what_listens_inside),
    case!(isolation::two_environments_share_no_user),
    case!(syscalls::dangerous_calls_are_refused),
    case!(syscalls::usual_calls_work),
    case!(limits::resource_limits_are_those_of_lambda),
    case!(limits::tmp_is_a_disk_of_its_size),
    case!(limits::the_disk_behind_tmp_has_a_throughput),
    case!(limits::memory_is_a_hard_cap),
    case!(limits::tasks_are_capped),
    case!(limits::open_files_are_capped),
    case!(limits::cpu_is_in_proportion_to_memory),
    case!(limits::a_frozen_environment_uses_no_cpu),
    case!(beside::the_runtime_waits_until_it_may_go),
    case!(beside::signals_reach_the_process_that_is_meant),
    case!(beside::a_runtime_alone_can_be_asked_to_end),
    case!(beside::what_others_leave_behind_is_reaped),
    case!(beside::a_program_that_cannot_run_is_told),
    case!(life::exits_are_told),
    case!(life::since_when_it_runs_is_told_not_when_that_is_heard),
    case!(life::a_program_that_cannot_run_is_an_error),
    case!(life::a_root_that_cannot_be_composed_is_an_error),
    case!(life::tmp_is_kept_over_a_reset),
    case!(life::what_is_dropped_goes),
    case!(life::nothing_survives_the_runtime_process),
    case!(life::the_death_of_the_spawner_takes_all_along),
    case!(life::a_server_cannot_have_files_given_away),
    case!(life::a_tmp_out_of_range_is_refused),
    case!(life::a_start_that_nobody_waits_for_leaves_nothing),
    case!(life::the_spawner_keeps_no_descriptor),
    case!(life::many_start_at_a_time),
    case!(life::many_live_at_a_time),
    case!(layers::the_last_layer_covers_the_others),
    case!(layers::programs_of_layers_run),
    case!(layers::a_layer_neither_escapes_nor_is_written),
    case!(layers::a_package_that_is_not_there_is_an_error),
    case!(layers::another_program_runs_where_the_first_is_missing),
    case!(ahead::it_finds_what_a_fresh_one_finds),
    case!(ahead::a_process_without_a_program_becomes_as_a_fresh_one),
    case!(ahead::its_memory_is_capped_from_its_assignment_on),
    case!(ahead::the_end_of_a_waiting_program_is_told),
    case!(ahead::variables_that_have_no_room_are_an_error),
    case!(ahead::what_waits_and_is_let_go_leaves_nothing),
    case!(ahead::the_death_of_the_spawner_takes_it_along),
    case!(server::it_gives_root_up_and_still_works),
    case!(server::its_death_takes_all_along),
    case!(server::the_next_start_removes_what_both_deaths_left),
    case!(snapshot::it_goes_on_in_a_sandbox_of_its_own),
    case!(snapshot::what_is_on_its_way_to_its_wait_is_waited_for),
    case!(snapshot::what_cannot_be_written_down_is_said),
    case!(reader::it_writes_to_its_folder),
    case!(reader::it_reaches_nothing_else),
    case!(reader::other_calls_end_it),
    case!(reader::one_that_was_made_ahead_is_as_good),
    case!(reader::what_it_uses_up_is_bounded),
    case!(reader::one_that_nobody_waits_for_is_ended),
    case!(reader::the_death_of_the_spawner_takes_it_along),
    network_case!(network::the_outside_answers_to_the_machines_address),
    network_case!(network::the_machine_its_networks_and_metadata_are_out_of_reach),
    network_case!(network::mail_between_servers_goes_nowhere),
    network_case!(network::both_ends_of_a_link_are_limited),
    network_case!(network::nobody_gets_in),
    network_case!(network::the_machine_does_not_become_a_router),
    network_case!(network::names_are_asked_for_where_the_server_listens),
    network_case!(network::an_environment_cannot_fill_the_machines_memory_of_connections),
    network_case!(network::environments_follow_the_machines_routes),
    network_case!(network::an_orderly_end_waits_for_no_namespace),
    network_case!(network::sudden_deaths_leave_no_link_and_no_rule),
];

fn main() {
    hearth_sandbox::run_if_spawner(Some(reader::read));
    if server::act_as_server() {
        return;
    }
    harness::run(CASES);
}
