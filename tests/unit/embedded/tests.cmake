# ul_unit_test(embedded MODULE ul_...)
ul_unit_test(embedded inflate ul_embedded test_tar PkgConfig::libzstd)
ul_unit_test(embedded layer ul_embedded test_tar)
ul_unit_test(embedded layer_hostile ul_embedded test_tar)
