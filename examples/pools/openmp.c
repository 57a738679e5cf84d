/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* OpenMP: a loop whose threads keep a buffer each, and one call that frees the buffers of all threads
 * after the parser has ended. */
#include <threadlocalmap_openmp.h>

#include "parser.h"

int main(void) {
    static const char *const texts[] = {"the quick brown fox", "jumps over", "the lazy dog"};
    struct parser parser;
    size_t words = 0;

    parser_open(&parser, 0);
#pragma omp parallel for num_threads(4) reduction(+ : words)
    for (int i = 0; i < 3000; i++) words += parser_count_words(&parser, texts[i % 3]);
    parser_close(&parser);
    tls_omp_expunge(4);
    return parser_report("the team sleeps", words);
}
