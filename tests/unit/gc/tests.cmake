# ul_unit_test(gc MODULE ul_...)
