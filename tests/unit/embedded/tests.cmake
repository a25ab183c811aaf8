# ul_unit_test(embedded MODULE ul_...)
