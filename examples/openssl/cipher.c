/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "cipher.h"
#include "../things/ledger.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if OPENSSL_VERSION_NUMBER < 0x30000000L
#error "This example needs OpenSSL 3"
#endif

enum { NONCE_BYTES = 12 };

struct cipher {
    unsigned maker;
    EVP_CIPHER_CTX *seal, *open;
};

static EVP_CIPHER *aes;

static void *allocate(size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    return size > 0 ? counted_malloc(size) : NULL;
}

static void *reallocate(void *memory, size_t size, const char *file, int line) {
    (void)file;
    (void)line;
    return counted_realloc(memory, size);
}

static void release(void *memory, const char *file, int line) {
    (void)file;
    (void)line;
    counted_free(memory);
}

static bool report(const char *what) {
    char text[200];
    ERR_error_string_n(ERR_get_error(), text, sizeof text);
    fprintf(stderr, "openssl: %s: %s\n", what, text);
    return false;
}

bool cipher_library_open(void) {
    if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
        return report("OpenSSL has taken memory before");
    aes = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    return aes != NULL || report("AES-256-GCM");
}

void cipher_library_close(void) { EVP_CIPHER_free(aes); }

struct cipher *cipher_new(const unsigned char secret[SECRET_BYTES]) {
    struct cipher *cipher = calloc(1, sizeof *cipher);
    if (cipher == NULL) return NULL;
    cipher->maker = ledger_made();
    cipher->seal = EVP_CIPHER_CTX_new();
    cipher->open = EVP_CIPHER_CTX_new();
    if (cipher->seal != NULL && cipher->open != NULL &&
        EVP_EncryptInit_ex2(cipher->seal, aes, secret, NULL, NULL) == 1 &&
        EVP_DecryptInit_ex2(cipher->open, aes, secret, NULL, NULL) == 1)
        return cipher;
    report("cannot make a context");
    cipher_free(cipher);
    return NULL;
}

void cipher_free(struct cipher *cipher) {
    EVP_CIPHER_CTX_free(cipher->seal);
    EVP_CIPHER_CTX_free(cipher->open);
    ledger_destroyed(cipher->maker);
    free(cipher);
}

static void nonce_of(uint64_t number, unsigned char nonce[NONCE_BYTES]) {
    memset(nonce, 0, NONCE_BYTES);
    for (int i = 0; i < 8; i++) nonce[i] = (unsigned char)(number >> (8 * i));
}

bool cipher_seal(struct cipher *cipher, uint64_t number, const unsigned char *bytes, size_t size,
                 unsigned char *sealed) {
    unsigned char nonce[NONCE_BYTES];
    int length = 0, rest = 0;
    nonce_of(number, nonce);
    /* Key and cipher stay as they are: this is what the context is kept for. */
    return (EVP_EncryptInit_ex2(cipher->seal, NULL, NULL, nonce, NULL) == 1 &&
            EVP_EncryptUpdate(cipher->seal, sealed, &length, bytes, (int)size) == 1 &&
            EVP_EncryptFinal_ex(cipher->seal, sealed + length, &rest) == 1 &&
            EVP_CIPHER_CTX_ctrl(cipher->seal, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, sealed + size) ==
                1) ||
           report("cannot seal");
}

bool cipher_open(struct cipher *cipher, uint64_t number, const unsigned char *sealed, size_t size,
                 unsigned char *bytes) {
    unsigned char nonce[NONCE_BYTES], tag[TAG_BYTES];
    int length = 0, rest = 0;
    nonce_of(number, nonce);
    memcpy(tag, sealed + size, TAG_BYTES);
    return EVP_DecryptInit_ex2(cipher->open, NULL, NULL, nonce, NULL) == 1 &&
           EVP_DecryptUpdate(cipher->open, bytes, &length, sealed, (int)size) == 1 &&
           EVP_CIPHER_CTX_ctrl(cipher->open, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1 &&
           EVP_DecryptFinal_ex(cipher->open, bytes + length, &rest) == 1;
}
