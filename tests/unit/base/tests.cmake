ul_unit_test(base walk ul_base)
ul_unit_test(base remove ul_base)
