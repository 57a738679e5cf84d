# SPDX-License-Identifier: MIT OR Apache-2.0
# An overlay port: it builds the repository that it is in.
#
#     vcpkg install threadlocalmap --overlay-ports=packaging/vcpkg/ports
#
# Cargo has to be installed: vcpkg has no tool for Rust. It builds the library optimised, whatever the
# build type is: a C library of one kind serves both.
get_filename_component(SOURCE_PATH "${CURRENT_PORT_DIR}/../../../.." ABSOLUTE)
set(VCPKG_BUILD_TYPE release)

find_program(CARGO NAMES "$ENV{CARGO}" cargo PATHS "$ENV{HOME}/.cargo/bin")
if(NOT CARGO)
  message(FATAL_ERROR "threadlocalmap is built with cargo, which was not found: see https://rustup.rs")
endif()
set(ENV{CARGO} "${CARGO}")
if(VCPKG_CROSSCOMPILING)
  set(cargos_name_x64 x86_64)
  set(cargos_name_arm64 aarch64)
  set(ENV{CARGO_BUILD_TARGET} "${cargos_name_${VCPKG_TARGET_ARCHITECTURE}}-unknown-linux-gnu")
endif()
if(NOT DEFINED ENV{CARGO_TARGET_DIR})
  set(ENV{CARGO_TARGET_DIR} "${CURRENT_BUILDTREES_DIR}/target")
endif()
vcpkg_execute_required_process(
  COMMAND make install "PREFIX=${CURRENT_PACKAGES_DIR}"
  WORKING_DIRECTORY "${SOURCE_PATH}"
  LOGNAME "install-${TARGET_TRIPLET}")

if(VCPKG_LIBRARY_LINKAGE STREQUAL "static")
  file(GLOB other_libraries "${CURRENT_PACKAGES_DIR}/lib/libthreadlocalmap.so*")
else()
  set(other_libraries "${CURRENT_PACKAGES_DIR}/lib/libthreadlocalmap.a")
endif()
file(REMOVE ${other_libraries})
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/share/man")

vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/threadlocalmap)
# It finds the libraries from where it is, which was lib/cmake/threadlocalmap.
set(config "${CURRENT_PACKAGES_DIR}/share/${PORT}/threadlocalmapConfig.cmake")
vcpkg_replace_string("${config}" [[/../.." ABSOLUTE]] [[/../../lib" ABSOLUTE]])
vcpkg_replace_string("${config}" [[/../../../include" ABSOLUTE]] [[/../../include" ABSOLUTE]])
vcpkg_fixup_pkgconfig()

file(INSTALL "${CURRENT_PORT_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE-MIT" "${SOURCE_PATH}/LICENSE-APACHE")
