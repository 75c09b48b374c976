# Installs the two libraries, the headers and what find_package(dsv3) reads:
#   find_package(dsv3 0.1 REQUIRED)
#   target_link_libraries(mine PRIVATE dsv3::f32)        # or dsv3::f64, or dsv3::c
# Headers are included as in this tree, "reference/linear/linear.hpp", from PREFIX/include/dsv3; that of dsv3::c is
# <dsv3.h> in PREFIX/include, which pkg-config finds too.
include(CMakePackageConfigHelpers)
set(DSV3_INSTALL_HEADERS ${CMAKE_INSTALL_INCLUDEDIR}/dsv3)
set(DSV3_INSTALL_CMAKE ${CMAKE_INSTALL_LIBDIR}/cmake/dsv3)

set_target_properties(dsv3_interface PROPERTIES EXPORT_NAME interface)
foreach(variant IN ITEMS f32 f64)
  set_target_properties(dsv3_${variant} PROPERTIES EXPORT_NAME ${variant})
  target_include_directories(dsv3_${variant} PUBLIC $<INSTALL_INTERFACE:${DSV3_INSTALL_HEADERS}>)
endforeach()

install(TARGETS dsv3_interface dsv3_f32 dsv3_f64 dsv3_c EXPORT dsv3)
install(FILES ${PROJECT_SOURCE_DIR}/bindings/c/dsv3.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/reference DESTINATION ${DSV3_INSTALL_HEADERS} FILES_MATCHING PATTERN "*.hpp")
install(EXPORT dsv3 NAMESPACE dsv3:: FILE dsv3Targets.cmake DESTINATION ${DSV3_INSTALL_CMAKE})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/dsv3Config.cmake.in ${PROJECT_BINARY_DIR}/dsv3Config.cmake
                              INSTALL_DESTINATION ${DSV3_INSTALL_CMAKE})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/dsv3ConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/dsv3Config.cmake ${PROJECT_BINARY_DIR}/dsv3ConfigVersion.cmake
        DESTINATION ${DSV3_INSTALL_CMAKE})

# dsv3.pc finds its prefix from where it lies.
set(DSV3_INSTALL_PKGCONFIG ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH DSV3_PKGCONFIG_TO_PREFIX /${DSV3_INSTALL_PKGCONFIG} /)
configure_file(${CMAKE_CURRENT_LIST_DIR}/dsv3.pc.in ${PROJECT_BINARY_DIR}/dsv3.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/dsv3.pc DESTINATION ${DSV3_INSTALL_PKGCONFIG})
if(TARGET dsv3_cli)
  install(TARGETS dsv3_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
