# ul_unit_test(service MODULE ul_...)
ul_unit_test(service schedule ul_service)
ul_unit_test(service config ul_service)
ul_unit_test(service config_pages ul_service PkgConfig::jansson)
target_compile_definitions(unit_service_config_pages PRIVATE
                           UL_SOURCE="${CMAKE_SOURCE_DIR}")
ul_unit_test(service config_place ul_service)
