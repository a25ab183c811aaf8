add_library(test_graph STATIC
            ${CMAKE_SOURCE_DIR}/tests/unit/graph/random_graph.c)
target_link_libraries(test_graph PUBLIC ul_graph PkgConfig::cmocka)
ul_unit_test(graph graph test_graph)
ul_unit_test(graph mark test_graph)
ul_unit_test(graph path test_graph)
ul_unit_test(graph retained test_graph)
