# ul_unit_test(oci MODULE ul_...)
