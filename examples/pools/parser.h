/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the examples do on each pool: parsers count the words of texts. Each parser keeps a buffer for
 * each thread that uses it, and the buffers end with the parser. */
#ifndef PARSER_H
#define PARSER_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threadlocalmap.h>

struct parser {
    tls_key_t buffer; /* a key for each parser; each thread has a value of its own under it */
};

static int buffers_made, buffers_freed; /* atomic */

static int make_buffer(void **value, void *user) {
    (void)user;
    *value = malloc(65536);
    if (*value == NULL) return 1;
    __atomic_add_fetch(&buffers_made, 1, __ATOMIC_RELAXED);
    return 0;
}

static void free_buffer(void *value, int reason, void *user) {
    (void)reason, (void)user;
    free(value);
    __atomic_add_fetch(&buffers_freed, 1, __ATOMIC_RELAXED);
}

/* flags: TLS_KEY_WORKER keeps a thread's buffer from one task to the next. */
static inline void parser_open(struct parser *parser, uint32_t flags) {
    tls_key_options_t options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.name = "parser's buffer";
    options.init = make_buffer;
    options.destroy = free_buffer;
    options.flags = flags;
    int error = tls_key_create(&parser->buffer, &options);
    if (error != TLS_OK) {
        fprintf(stderr, "parser_open: %s\n", tls_strerror(error));
        exit(1);
    }
}

static inline size_t parser_count_words(struct parser *parser, const char *text) {
    char *buffer = (char *)tls_get(parser->buffer);
    if (buffer == NULL) return 0;
    strncpy(buffer, text, 65535);
    buffer[65535] = '\0';
    size_t words = 0;
    for (char *at = buffer; *at != '\0'; at++)
        words += !isspace((unsigned char)*at) && (at == buffer || isspace((unsigned char)at[-1]));
    return words;
}

static inline void parser_close(struct parser *parser) { tls_key_release(parser->buffer); }

/* Reports the buffers that are left. Returns 0 if there are none. */
static inline int parser_report(const char *when, size_t words) {
    int left = __atomic_load_n(&buffers_made, __ATOMIC_ACQUIRE) -
               __atomic_load_n(&buffers_freed, __ATOMIC_ACQUIRE);
    printf("%s: %zu words were counted, %d buffers are left\n", when, words, left);
    return left != 0 || words == 0;
}

#endif
