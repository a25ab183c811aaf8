# ul_unit_test(accounting MODULE ul_...)
