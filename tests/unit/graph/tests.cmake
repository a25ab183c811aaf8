ul_unit_test(graph graph ul_graph)
ul_unit_test(graph mark ul_graph)
ul_unit_test(graph path ul_graph)
ul_unit_test(graph retained ul_graph)
