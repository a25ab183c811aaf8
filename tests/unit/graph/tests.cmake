# ul_unit_test(graph MODULE ul_...)
