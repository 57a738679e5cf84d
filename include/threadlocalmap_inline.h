/**
 * @file
 * threadlocalmap_inline.h - the inlined hit. threadlocalmap.h includes it; do not include it
 * yourself.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * A hit reads the calling thread's hot slot (two words of thread-local storage at a distance from
 * the thread pointer that is the same for all threads), masks the handle with one of them, adds the
 * other, compares one 64-bit word and returns the next. Any other case calls the exported function
 * of the same name, so the inlined code makes a get faster and never changes its result.
 *
 * Each translation unit keeps the distance in one static word. A constructor fills it before main()
 * (or before dlopen() returns), so that a compiler may keep it in a register over a loop; while it
 * is 0, the exported function is called. The hot slot itself is read at every get, on the thread
 * that runs then: nothing of it is kept over a call, a switch of fibers, or a tls_set().
 */
#ifndef THREADLOCALMAP_INLINE_H
#define THREADLOCALMAP_INLINE_H

#if !defined(TLS_NO_INLINE) && defined(__GNUC__) && defined(__linux__) && defined(__LP64__) && \
    ((defined(__x86_64__) && !defined(__code_model_large__)) || defined(__aarch64__))

#ifdef __cplusplus
extern "C" {
#endif

/* Private: a number or a pointer as a pointer of this type, without a warning in C++. */
#ifdef __cplusplus
#define TLS_PRIVATE_AS(type, value) reinterpret_cast<type>(value)
#else
#define TLS_PRIVATE_AS(type, value) ((type)(const void *)(value))
#endif

/* Private: one entry of a table, layout 1. */
struct tls_private_entry_v1 {
  uint64_t key;
  void *value;
};

/* Private: the hot slot's distance from the thread pointer; 0: not known. */
static ptrdiff_t tls_private_hot_offset;

/* Weak: a program that includes the header and calls nothing does not need the library. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
ptrdiff_t tls_hot_offset_v1(void) __attribute__((weak));
#pragma GCC diagnostic pop

__attribute__((constructor, unused)) static void tls_private_find_hot_slot(void) {
  if (tls_hot_offset_v1) {
    __atomic_store_n(&tls_private_hot_offset, tls_hot_offset_v1(), __ATOMIC_RELAXED);
  }
}

#if defined(__x86_64__)

/* The assembly in both of the compiler's dialects, {-masm=att|-masm=intel}. */

/* A constant once it is not 0, so this asm is not volatile: it may leave a loop. */
__attribute__((always_inline, unused)) static inline ptrdiff_t tls_private_offset(void) {
  ptrdiff_t offset;
  __asm__("{movq %c1(%%rip), %0|mov %0, QWORD PTR %c1[rip]}"
          : "=r"(offset)
          : "i"(&tls_private_hot_offset));
  return offset;
}

/* The entry at the key's home. Volatile: read anew at every get. */
__attribute__((always_inline, unused)) static inline const struct tls_private_entry_v1 *
tls_private_home(ptrdiff_t offset, tls_key_t key) {
  uint64_t at = key;
  __asm__ volatile("{andq %%fs:8(%1), %0|and %0, QWORD PTR fs:[%1+8]}\n\t"
                   "{addq %%fs:(%1), %0|add %0, QWORD PTR fs:[%1]}"
                   : "+&r"(at)
                   : "r"(offset)
                   : "cc");
  return TLS_PRIVATE_AS(const struct tls_private_entry_v1 *, at);
}

/* Where the thread's stale count is. */
__attribute__((always_inline, unused)) static inline const size_t *
tls_private_stale(ptrdiff_t offset) {
  const size_t *stale;
  __asm__ volatile("{movq %%fs:16(%1), %0|mov %0, QWORD PTR fs:[%1+16]}"
                   : "=r"(stale)
                   : "r"(offset));
  return stale;
}

#else /* aarch64 */

__attribute__((always_inline, unused)) static inline ptrdiff_t tls_private_offset(void) {
  return __atomic_load_n(&tls_private_hot_offset, __ATOMIC_RELAXED);
}

/* Word number `index` of the hot slot. The thread pointer is read anew. */
__attribute__((always_inline, unused)) static inline uint64_t
tls_private_word(ptrdiff_t offset, int index) {
  const char *thread_pointer;
  __asm__ volatile("mrs %0, tpidr_el0" : "=r"(thread_pointer));
  return __atomic_load_n(TLS_PRIVATE_AS(const uint64_t *, thread_pointer + offset) + index,
                         __ATOMIC_RELAXED);
}

/* The entry at the key's home. */
__attribute__((always_inline, unused)) static inline const struct tls_private_entry_v1 *
tls_private_home(ptrdiff_t offset, tls_key_t key) {
  return TLS_PRIVATE_AS(const struct tls_private_entry_v1 *,
                        tls_private_word(offset, 0) + (key & tls_private_word(offset, 1)));
}

/* Where the thread's stale count is. */
__attribute__((always_inline, unused)) static inline const size_t *
tls_private_stale(ptrdiff_t offset) {
  return TLS_PRIVATE_AS(const size_t *, tls_private_word(offset, 2));
}

#endif

/* See tls_get(). */
__attribute__((always_inline, unused)) static inline void *tls_private_get(tls_key_t key) {
  const ptrdiff_t offset = tls_private_offset();
  if (__builtin_expect(offset != 0, 1)) {
    const struct tls_private_entry_v1 *entry = tls_private_home(offset, key);
    if (__builtin_expect(__atomic_load_n(&entry->key, __ATOMIC_RELAXED) == key, 1)) {
      return __atomic_load_n(&entry->value, __ATOMIC_RELAXED);
    }
  }
  return tls_get(key);
}

/* See tls_get_existing(). */
__attribute__((always_inline, unused)) static inline void *tls_private_get_existing(tls_key_t key) {
  const ptrdiff_t offset = tls_private_offset();
  if (__builtin_expect(offset != 0, 1)) {
    const struct tls_private_entry_v1 *entry = tls_private_home(offset, key);
    if (__builtin_expect(__atomic_load_n(&entry->key, __ATOMIC_RELAXED) == key, 1)) {
      return __atomic_load_n(&entry->value, __ATOMIC_RELAXED);
    }
  }
  return tls_get_existing(key);
}

/* See tls_stale_count(). */
__attribute__((always_inline, unused)) static inline size_t tls_private_stale_count(void) {
  const ptrdiff_t offset = tls_private_offset();
  if (__builtin_expect(offset != 0, 1)) {
    return __atomic_load_n(tls_private_stale(offset), __ATOMIC_RELAXED);
  }
  return tls_stale_count();
}

#ifdef __cplusplus
}
#endif

/* Function-like: (tls_get)(key) and &tls_get are the exported function. */
#define tls_get(key) tls_private_get(key)
#define tls_get_existing(key) tls_private_get_existing(key)
#define tls_stale_count() tls_private_stale_count()

#endif
#endif
