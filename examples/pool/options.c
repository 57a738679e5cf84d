/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#define _GNU_SOURCE
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "Usage: pool [OPTION]... [FOLDER]\n"
    "\n"
    "Counts the words of every file below FOLDER (default: the current one) with a pool\n"
    "of threads, and shows what becomes of the buffers that its threads keep for a file\n"
    "after that file is done.\n"
    "\n"
    "  --with WHAT      where a thread keeps its buffer for a file:\n"
    "                     tls           a key of this library for each file (default)\n"
    "                     pthread       a pthread key for each file, deleted with it\n"
    "                     thread_local  a thread_local table, from address to buffer\n"
    "  --keep-keys      with pthread: do not delete the keys\n"
    "  --threads N      workers (default: one for each processor, at least 4)\n"
    "  --repeat N       work the folder through N times (default: 1)\n"
    "  --documents N    work it through so often that N documents come together\n"
    "  --chunk KIB      how much of a file one task counts, up to 63 (default: 4)\n"
    "  --limit MIB      stop when the buffers take this much memory (default: 1024)\n"
    "  --samples FILE   write time_ms,live_bytes every 2 ms, as CSV\n"
    "  --json FILE      write the results as JSON\n"
    "  --help           show this\n"
    "\n"
    "Hidden files and folders, and folders with a CACHEDIR.TAG, are left out.\n"
    "Ends with status 0 when every word was counted right and no buffer leaked.\n"
    "With pthread and thread_local it can end with 3: they leak, run out of keys, or count wrong.\n";

static uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most) {
    char *end = NULL;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || value < least || value > most) {
        fprintf(stderr, "pool: %s %s: give a number from %llu to %llu\n", option, text,
                (unsigned long long)least, (unsigned long long)most);
        exit(2);
    }
    return value;
}

static const struct store *store_named(const char *name) {
    const struct store *all[] = {&store_tls, &store_pthread, &store_thread_local};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (strcmp(name, all[i]->name) == 0) return all[i];
    fprintf(stderr, "pool: --with %s: give tls, pthread or thread_local\n", name);
    exit(2);
}

struct options options_parse(int count, char **arguments) {
    enum { WITH, KEEP_KEYS, THREADS, REPEAT, DOCUMENTS, CHUNK, LIMIT, SAMPLES, JSON, HELP };
    static const struct option known[] = {
        {"with", required_argument, NULL, WITH},
        {"keep-keys", no_argument, NULL, KEEP_KEYS},
        {"threads", required_argument, NULL, THREADS},
        {"repeat", required_argument, NULL, REPEAT},
        {"documents", required_argument, NULL, DOCUMENTS},
        {"chunk", required_argument, NULL, CHUNK},
        {"limit", required_argument, NULL, LIMIT},
        {"samples", required_argument, NULL, SAMPLES},
        {"json", required_argument, NULL, JSON},
        {"help", no_argument, NULL, HELP},
        {NULL, 0, NULL, 0},
    };
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    bool keep_keys = false;
    struct options options = {
        .store = &store_tls,
        .threads = processors < 4 ? 4 : processors > 64 ? 64 : (unsigned)processors,
        .repeat = 1,
        .chunk_bytes = 4 * 1024,
        .limit_bytes = (uint64_t)1024 << 20,
        .folder = ".",
    };
    for (int option; (option = getopt_long(count, arguments, "", known, NULL)) != -1;) {
        switch (option) {
        case WITH: options.store = store_named(optarg); break;
        case KEEP_KEYS: keep_keys = true; break;
        case THREADS: options.threads = (unsigned)number("--threads", optarg, 1, 1024); break;
        case REPEAT: options.repeat = number("--repeat", optarg, 1, 1000000); break;
        case DOCUMENTS: options.documents = number("--documents", optarg, 1, 1000000000); break;
        case CHUNK: options.chunk_bytes = number("--chunk", optarg, 1, 63) * 1024; break;
        case LIMIT: options.limit_bytes = number("--limit", optarg, 1, 1 << 20) << 20; break;
        case SAMPLES: options.samples = optarg; break;
        case JSON: options.json = optarg; break;
        case HELP: fputs(usage, stdout); exit(0);
        default: fputs("Try pool --help.\n", stderr); exit(2);
        }
    }
    if (optind < count) options.folder = arguments[optind++];
    if (optind < count) {
        fprintf(stderr, "pool: %s: give one folder only\n", arguments[optind]);
        exit(2);
    }
    if (keep_keys) {
        if (options.store != &store_pthread) {
            fputs("pool: --keep-keys goes only with --with pthread\n", stderr);
            exit(2);
        }
        options.store = &store_pthread_kept;
    }
    return options;
}
