ul_unit_test(oci json ul_oci PkgConfig::jansson)
ul_unit_test(oci descriptor ul_oci)
ul_unit_test(oci manifest ul_oci)
ul_unit_test(oci config ul_oci)
ul_unit_test(oci layout ul_oci)
ul_unit_test(oci reference ul_oci)
ul_unit_test(oci samples ul_oci)
target_compile_definitions(unit_oci_samples PRIVATE
  UL_TEST_SAMPLES="${CMAKE_SOURCE_DIR}/tests/data/oci-samples.tar.zst")
