# ul_unit_test(base MODULE ul_...)
