# ul_unit_test(gc MODULE ul_...)
ul_unit_test(gc policy ul_gc test_view)
ul_unit_test(gc plan ul_gc test_view)
ul_unit_test(gc saved ul_gc test_view)
ul_unit_test(gc history test_content)
ul_unit_test(gc run test_content)
ul_unit_test(gc trash test_content)

# gc/INVARIANTS.md: a test each, named after its invariant.
add_library(test_invariants STATIC
            ${CMAKE_SOURCE_DIR}/tests/unit/gc/invariants.c)
target_link_libraries(test_invariants PUBLIC test_content)

# invariants(MODULE INVARIANT...): the program, and a ctest for each.
function(invariants module)
  set(name unit_gc_invariants_${module})
  add_executable(
    ${name} ${CMAKE_SOURCE_DIR}/tests/unit/gc/test_invariants_${module}.c)
  target_link_libraries(${name} PRIVATE test_invariants ul_options
                                        PkgConfig::cmocka)
  foreach(invariant ${ARGN})
    string(REPLACE "__" "_" short ${invariant})
    add_test(NAME invariant/${short} COMMAND ${name} ${invariant})
    set_tests_properties(invariant/${short} PROPERTIES LABELS invariant)
  endforeach()
endfunction()

invariants(kept
    I1__what_a_root_reaches_stays
    I1__what_is_needed_again_comes_back_even_with_now
    I1__a_manifest_of_another_algorithm_keeps_its_blobs
    I2__what_is_new_stays_for_the_grace_period
    I2__a_name_that_vanishes_keeps_its_content
    I2__what_a_young_thing_refers_to_stays
    I2__what_is_written_anew_is_new
    I2__a_clock_set_back_makes_nothing_older
    I8__what_is_not_ours_is_never_touched
    I8__leftovers_of_others_stay_for_a_day
    I8__a_leftover_stays_while_a_file_in_it_is_used
    I9__pinned_and_used_images_are_declined
    I10__what_is_mounted_stays_with_what_it_stands_on
    I10__what_is_mounted_after_the_plan_stays_too
    I10__a_bind_mount_counts_too)
invariants(plan
    I4__a_dry_run_says_what_a_real_one_does
    I4__a_saved_plan_is_carried_out_exactly
    I4__a_saved_plan_that_no_longer_fits_is_refused
    I5__freed_bytes_are_what_du_says
    I5__trashed_bytes_come_back_when_they_are_due
    I5__a_full_disk_is_reported_and_freed
    I6__a_name_after_the_plan_ends_a_prune
    I6__a_name_after_the_plan_keeps_what_gc_would_take)
invariants(trouble
    I3__killed_at_any_time_nothing_is_lost
    I3__without_memory_at_any_point_nothing_is_lost
    I3__what_a_stop_leaves_half_written_goes
    I7__a_damaged_index_collects_nothing
    I7__a_damaged_manifest_collects_nothing
    I7__a_database_of_another_store_collects_nothing
    I7__a_store_without_an_id_collects_nothing
    I7__a_database_that_is_behind_collects_nothing
    I7__a_clock_behind_collects_nothing
    I7__a_file_from_the_future_collects_nothing)
invariants(full_disk
    I11__what_gc_would_take_goes_in_place
    I11__names_stay_where_there_is_no_room
    I11__without_now_nothing_goes_in_place
    I11__what_is_young_stays_in_place
    I11__an_unreadable_database_lets_nothing_go
    I11__a_damaged_index_lets_nothing_go
    I11__a_lease_that_only_the_log_has_holds
    I11__without_memory_nothing_else_goes)
