# ul_unit_test(db MODULE ul_...)
ul_unit_test(db db ul_db PkgConfig::sqlite3)
ul_unit_test(db stmt ul_db PkgConfig::sqlite3)
ul_unit_test(db record ul_db ul_graph PkgConfig::sqlite3)
