# ul_unit_test(cli MODULE ul_...)
