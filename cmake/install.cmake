# SPDX-License-Identifier: MIT OR Apache-2.0
# What `make install` puts in place (scripts/install.sh), put there by CMake. tests/install.rs compares the two.

set(_libdir "${CMAKE_INSTALL_FULL_LIBDIR}")
set(_includedir "${CMAKE_INSTALL_FULL_INCLUDEDIR}")

file(GLOB _headers "${PROJECT_SOURCE_DIR}/include/*.h" "${PROJECT_SOURCE_DIR}/bindings/c/include/*.h"
  "${PROJECT_SOURCE_DIR}/bindings/cpp/include/*.hpp")
file(GLOB _cpp_headers "${PROJECT_SOURCE_DIR}/bindings/cpp/include/threadlocalmap/*.hpp")
file(GLOB _pthread_headers "${PROJECT_SOURCE_DIR}/bindings/c/include/threadlocalmap_pthread/*.h")
install(FILES ${_headers} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(FILES ${_cpp_headers} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/threadlocalmap")
install(FILES ${_pthread_headers} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/threadlocalmap_pthread")
foreach(_section 3 7)
  file(GLOB _pages "${PROJECT_SOURCE_DIR}/docs/man/man${_section}/*.${_section}")
  if(_pages)
    install(FILES ${_pages} DESTINATION "${CMAKE_INSTALL_MANDIR}/man${_section}")
  endif()
endforeach()

install(PROGRAMS "${_dist}/libthreadlocalmap.so.${PROJECT_VERSION}" DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(FILES "${_dist}/libthreadlocalmap.so.0" "${_dist}/libthreadlocalmap.so" "${_dist}/libthreadlocalmap.a"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}")

# template(TEMPLATE FOLDER NAME=TEXT...): installs what becomes of TEMPLATE.in there.
function(threadlocalmap_template template folder)
  foreach(pair IN LISTS ARGN)
    string(REGEX MATCH "^[A-Z]+" name "${pair}")
    string(REGEX REPLACE "^[A-Z]+=" "" ${name} "${pair}")
  endforeach()
  get_filename_component(file "${template}" NAME)
  set(VERSION "${PROJECT_VERSION}")
  configure_file("${PROJECT_SOURCE_DIR}/${template}.in" "${PROJECT_BINARY_DIR}/${file}" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${file}" DESTINATION "${folder}")
endfunction()

file(RELATIVE_PATH _up "${_libdir}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
file(RELATIVE_PATH _header "${_libdir}/pkgconfig" "${_includedir}")
file(RELATIVE_PATH _header_from_config "${_libdir}/cmake/threadlocalmap" "${_includedir}")
# In a pkg-config file, a backslash keeps a blank in the word.
foreach(_path _up _header)
  string(REGEX REPLACE "/$" "" ${_path} "${${_path}}")
  string(REPLACE " " "\\ " ${_path} "${${_path}}")
endforeach()
threadlocalmap_template(threadlocalmap.pc "${CMAKE_INSTALL_LIBDIR}/pkgconfig" "UP=${_up}" "INCLUDEDIR=${_header}")
set(_package "${CMAKE_INSTALL_LIBDIR}/cmake/threadlocalmap")
string(REGEX REPLACE "/$" "" _header_from_config "${_header_from_config}")
threadlocalmap_template(cmake/threadlocalmapConfig.cmake "${_package}" "INCLUDEDIR=${_header_from_config}")
threadlocalmap_template(cmake/threadlocalmapConfigVersion.cmake "${_package}")
