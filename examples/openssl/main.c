/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* OpenSSL cipher contexts: one for each session and thread that serves it.
 *
 * Any worker may serve any session. Setting a key up costs more than sealing a small record, so each
 * worker keeps a context with the session's key in it. When the session ends, its secret must be
 * erased from memory, from every worker's context, soon, and without stopping the workers. A context
 * that is leaked keeps the secret of its dead session. */
#include "../things/keep.h"
#include "../things/ledger.h"
#include "../things/work.h"
#include "cipher.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, SESSIONS = 200, TASKS = 16, RECORDS = 8, RECORD_BYTES = 1500 };

struct session {
    const struct way *way;
    struct keep ciphers;
    unsigned number;
    unsigned char secret[SECRET_BYTES];
};

/* The last context was freed. */
static void free_session(void *object) {
    struct session *session = object;
    OPENSSL_cleanse(session->secret, sizeof session->secret);
    free(session);
}

static void *make_cipher(void *object) {
    struct session *session = object;
    return cipher_new(session->secret);
}

static void destroy_cipher(void *thing) { cipher_free(thing); }

static const struct kind ciphers = {
    .name = "cipher context",
    .make = make_cipher,
    .destroy = destroy_cipher,
    .over = free_session,
};

static void *open_session(unsigned number, const struct way *way) {
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) return NULL;
    session->way = way;
    session->number = number;
    session->ciphers = (struct keep){.kind = &ciphers, .object = session};
    if (RAND_bytes(session->secret, sizeof session->secret) != 1 ||
        way->open(&session->ciphers) != 0) {
        fprintf(stderr, "openssl: cannot open session %u\n", number);
        free_session(session);
        return NULL;
    }
    return session;
}

/* Seals a record and opens it again; a record that was changed must not open. */
static bool exchange(struct cipher *cipher, uint64_t number) {
    unsigned char bytes[RECORD_BYTES], sealed[RECORD_BYTES + TAG_BYTES], opened[RECORD_BYTES];
    memset(bytes, (int)(number & 0xff), sizeof bytes);
    if (!cipher_seal(cipher, number, bytes, sizeof bytes, sealed)) return false;
    if (!cipher_open(cipher, number, sealed, sizeof bytes, opened) ||
        memcmp(bytes, opened, sizeof bytes) != 0) {
        fprintf(stderr, "openssl: a record does not come back\n");
        return false;
    }
    sealed[number % RECORD_BYTES] ^= 1;
    if (cipher_open(cipher, number, sealed, sizeof bytes, opened)) {
        fprintf(stderr, "openssl: a changed record was taken\n");
        return false;
    }
    return true;
}

static bool serve(void *object, size_t index) {
    struct session *session = object;
    struct cipher *cipher = session->way->mine(&session->ciphers);
    if (cipher == NULL) return false;
    for (uint64_t i = 0; i < RECORDS; i++)
        if (!exchange(cipher, index * RECORDS + i)) return false;
    return true;
}

static bool close_session(void *object) {
    struct session *session = object;
    session->way->close(&session->ciphers);
    return true;
}

int main(void) {
    char title[300];
    unsigned char warm_up[1];
    /* What OpenSSL makes once, for the process and for this thread, is made before the count. */
    if (!cipher_library_open() || RAND_bytes(warm_up, sizeof warm_up) != 1) return WORK_FAILED;
    snprintf(title, sizeof title,
             "OpenSSL %s: %d sessions, served by %d threads; AES-256-GCM, a pair of\n"
             "contexts with the session's key for each thread and session",
             OpenSSL_version(OPENSSL_VERSION_STRING), SESSIONS, THREADS);
    struct plan plan = {
        .title = title,
        .things = "keyed contexts",
        .owner = "OpenSSL",
        .threads = THREADS,
        .objects = SESSIONS,
        .tasks = TASKS,
        .open = open_session,
        .task = serve,
        .close = close_session,
        .bytes = counted_bytes,
        .bytes_of_threads = true,
    };
    int status = work(&plan);
    cipher_library_close();
    return status;
}
