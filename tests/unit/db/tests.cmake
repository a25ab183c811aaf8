# ul_unit_test(db MODULE ul_...)
