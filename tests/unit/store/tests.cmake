# ul_unit_test(store MODULE ul_...)
ul_unit_test(store followers ul_store test_view)
