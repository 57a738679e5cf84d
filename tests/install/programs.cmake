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
