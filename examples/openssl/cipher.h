/* A thread's cipher contexts for one session: the session's secret is in them, expanded to the
 * key schedule of AES-256. */
#ifndef CIPHER_H
#define CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SECRET_BYTES = 32, TAG_BYTES = 16 };

struct cipher;

/* OpenSSL's memory is counted from here on. Before any other use of it. */
bool cipher_library_open(void);
void cipher_library_close(void);

struct cipher *cipher_new(const unsigned char secret[SECRET_BYTES]); /* NULL: it was reported */
void cipher_free(struct cipher *cipher); /* wipes the key schedules */

/* AES-256-GCM; `sealed` has room for TAG_BYTES more. No number may come twice in a session. */
bool cipher_seal(struct cipher *cipher, uint64_t number, const unsigned char *bytes, size_t size,
                 unsigned char *sealed);
/* false: it is not what was sealed with this secret and number. */
bool cipher_open(struct cipher *cipher, uint64_t number, const unsigned char *sealed, size_t size,
                 unsigned char *bytes);

#endif
