# ul_unit_test(accounting MODULE ul_...)
ul_unit_test(accounting classes ul_accounting test_view)
ul_unit_test(accounting images ul_accounting test_view)
ul_unit_test(accounting duplicates ul_accounting test_view)
