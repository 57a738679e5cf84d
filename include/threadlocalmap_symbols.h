/**
 * @file
 * threadlocalmap_symbols.h - the linker's names of the functions. threadlocalmap.h includes it; do
 * not include it yourself.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * The library has each function under two names: tls_set, for all who find functions by name, and
 * tlm_set, which a source that includes the header calls when it says tls_set(). So a program, or
 * a library in it, may have a function tls_set of its own: who includes the header calls this
 * library all the same. Debuggers and profilers show tlm_set. See docs/abi.md.
 */
#ifndef THREADLOCALMAP_SYMBOLS_H
#define THREADLOCALMAP_SYMBOLS_H

#ifdef __PRAGMA_REDEFINE_EXTNAME
#pragma redefine_extname tls_strerror tlm_strerror
#pragma redefine_extname tls_err_name tlm_err_name
#pragma redefine_extname tls_key_create tlm_key_create
#pragma redefine_extname tls_key_retain tlm_key_retain
#pragma redefine_extname tls_key_release tlm_key_release
#pragma redefine_extname tls_key_is_live tlm_key_is_live
#pragma redefine_extname tls_key_name tlm_key_name
#pragma redefine_extname tls_get tlm_get
#pragma redefine_extname tls_get_existing tlm_get_existing
#pragma redefine_extname tls_try_get tlm_try_get
#pragma redefine_extname tls_set tlm_set
#pragma redefine_extname tls_swap tlm_swap
#pragma redefine_extname tls_take tlm_take
#pragma redefine_extname tls_swap_wait tlm_swap_wait
#pragma redefine_extname tls_take_wait tlm_take_wait
#pragma redefine_extname tls_remove tlm_remove
#pragma redefine_extname tls_remove_all tlm_remove_all
#pragma redefine_extname tls_take_all tlm_take_all
#pragma redefine_extname tls_expunge tlm_expunge
#pragma redefine_extname tls_expunge_some tlm_expunge_some
#pragma redefine_extname tls_stale_count tlm_stale_count
#pragma redefine_extname tls_thread_attach tlm_thread_attach
#pragma redefine_extname tls_thread_detach tlm_thread_detach
#pragma redefine_extname tls_at_thread_exit tlm_at_thread_exit
#pragma redefine_extname tls_thread_on_stale tlm_thread_on_stale
#pragma redefine_extname tls_thread_hook tlm_thread_hook
#pragma redefine_extname tls_destroy_at_exit tlm_destroy_at_exit
#pragma redefine_extname tls_hot_offset_v1 tlm_hot_offset_v1
#pragma redefine_extname tls_expunge_all_threads tlm_expunge_all_threads
#pragma redefine_extname tls_key_purge tlm_key_purge
#pragma redefine_extname tls_key_drain tlm_key_drain
#pragma redefine_extname tls_for_each tlm_for_each
#pragma redefine_extname tls_for_each_locked tlm_for_each_locked
#pragma redefine_extname tls_scrape tlm_scrape
#pragma redefine_extname tls_scope_begin tlm_scope_begin
#pragma redefine_extname tls_scope_end tlm_scope_end
#pragma redefine_extname tls_context_capture tlm_context_capture
#pragma redefine_extname tls_context_free tlm_context_free
#pragma redefine_extname tls_task_create tlm_task_create
#pragma redefine_extname tls_task_run tlm_task_run
#pragma redefine_extname tls_task_cancel tlm_task_cancel
#pragma redefine_extname tls_map_create tlm_map_create
#pragma redefine_extname tls_map_destroy tlm_map_destroy
#pragma redefine_extname tls_map_switch tlm_map_switch
#pragma redefine_extname tls_map_current tlm_map_current
#pragma redefine_extname tls_dump tlm_dump
#pragma redefine_extname tls_dump_fd tlm_dump_fd
#pragma redefine_extname tls_for_each_holder tlm_for_each_holder
#pragma redefine_extname tls_for_each_local tlm_for_each_local
#pragma redefine_extname tls_stats tlm_stats
#pragma redefine_extname tls_version tlm_version
#pragma redefine_extname tls_version_string tlm_version_string
#endif

/* For generators of bindings: they read variables, and no macros that use macros. In C and C++,
 * the macro of this name stands for it. */
/*! @cond */
#ifdef __GNUC__
__attribute__((unused))
#endif
static const uint64_t TLS_KEY_NONE = 0;
/*! @endcond */

#endif
