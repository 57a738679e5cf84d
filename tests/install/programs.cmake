# SPDX-License-Identifier: MIT OR Apache-2.0
# Programs that need each of the targets, and a plugin with the static library inside.
add_executable(shared "${SOURCES}/examples/hello.c")
target_link_libraries(shared PRIVATE threadlocalmap::threadlocalmap Threads::Threads)
# The archive alone: what it needs, its target says.
add_executable(static "${SOURCES}/examples/hello.c")
target_link_libraries(static PRIVATE threadlocalmap::threadlocalmap_static)
add_executable(cpp "${SOURCES}/examples/hello.cpp")
target_link_libraries(cpp PRIVATE threadlocalmap::cpp Threads::Threads)
add_library(plugin MODULE "${CMAKE_CURRENT_LIST_DIR}/plugin.c")
target_link_libraries(plugin PRIVATE threadlocalmap::threadlocalmap_static)
# The same, through a library of its own that says nothing of it.
add_library(inner STATIC "${CMAKE_CURRENT_LIST_DIR}/plugin.c")
set_target_properties(inner PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_link_libraries(inner PRIVATE threadlocalmap::threadlocalmap_static)
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/outer.c" "extern unsigned long plugin_stale(void);\nunsigned long outer(void);\nunsigned long outer(void) { return plugin_stale(); }\n")
add_library(outer MODULE "${CMAKE_CURRENT_BINARY_DIR}/outer.c")
target_link_libraries(outer PRIVATE inner)
