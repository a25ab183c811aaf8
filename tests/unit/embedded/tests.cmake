# ul_unit_test(embedded MODULE ul_...)
ul_unit_test(embedded lease test_store)
ul_unit_test(embedded snapshot_dir test_store)
ul_unit_test(embedded leftover test_store)
ul_unit_test(embedded mounts test_store)
ul_unit_test(embedded store test_store)
ul_unit_test(embedded store_index test_store)

add_library(test_snapshot STATIC
            ${CMAKE_SOURCE_DIR}/tests/unit/embedded/snapshot_fixture.c)
target_link_libraries(test_snapshot PUBLIC test_store)
ul_unit_test(embedded snapshot test_snapshot)
ul_unit_test(embedded snapshot_mount test_snapshot)
ul_unit_test(embedded snapshot_stop test_snapshot)
ul_unit_test(embedded snapshot_deep test_snapshot)

add_library(test_scan STATIC
            ${CMAKE_SOURCE_DIR}/tests/unit/embedded/scan_fixture.c)
target_link_libraries(test_scan PUBLIC test_content PkgConfig::sqlite3)
ul_unit_test(embedded scan test_scan)
ul_unit_test(embedded scan_content test_scan)
ul_unit_test(embedded scan_record test_scan)
ul_unit_test(embedded scan_links test_content)
ul_unit_test(embedded scan_rights test_content)

ul_unit_test(embedded trash ul_embedded)
ul_unit_test(embedded layout test_content)
ul_unit_test(embedded others test_content)
ul_unit_test(embedded algorithms test_content)
