/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A thread's cipher contexts for one session: the session's secret is in them, expanded to the
 * key schedule of AES-256. */
#ifndef CIPHER_H
#define CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SECRET_BYTES = 32, TAG_BYTES = 16 };

struct cipher;

/* Begins to count OpenSSL's memory. Call it before any other use of OpenSSL. */
bool cipher_library_open(void);
void cipher_library_close(void);

struct cipher *cipher_new(const unsigned char secret[SECRET_BYTES]); /* NULL after an error */
void cipher_free(struct cipher *cipher); /* wipes the key schedules */

/* AES-256-GCM; `sealed` has room for TAG_BYTES more. Use each number once in a session. */
bool cipher_seal(struct cipher *cipher, uint64_t number, const unsigned char *bytes, size_t size,
                 unsigned char *sealed);
/* Returns false if it was not sealed with this secret and number. */
bool cipher_open(struct cipher *cipher, uint64_t number, const unsigned char *sealed, size_t size,
                 unsigned char *bytes);

#endif
