/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Counts the words of every file below a folder with a pool of threads.
 *
 * Each file is a document that several workers share, chunk by chunk; each of them keeps a scratch
 * buffer for it. A document dies when its last chunk is counted, and the workers continue. This
 * program shows what happens to the buffers then, for three ways of keeping them.
 *
 * `make demo` runs them all. By hand, from the root of the repository:
 *   make all
 *   cc -std=c11 -Iinclude examples/pool/[a-z]*.c target/dist/libthreadlocalmap.a -o pool
 *   ./pool --help
 */
#define _XOPEN_SOURCE 700
#include "document.h"
#include "meter.h"
#include "options.h"
#include "pool.h"
#include "report.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct options options;
static atomic_bool failed; /* a worker could not continue, and has reported why */

static void finish_document(struct document *document) {
    uint64_t words = 0;
    for (unsigned i = 0; i < options.threads; i++) words += document->worker_words[i];
    atomic_fetch_add(&meter.words, words);
    struct stat now;
    if (fstat(document->descriptor, &now) != 0 || (uint64_t)now.st_size != document->file->size ||
        now.st_mtim.tv_sec != document->file->modified.tv_sec ||
        now.st_mtim.tv_nsec != document->file->modified.tv_nsec) {
        atomic_fetch_add(&meter.changed, 1);
    } else if (words != document->file->words) {
        atomic_fetch_add(&meter.miscounted, 1);
    }
    close(document->descriptor);
    options.store->finish(document);
    free(document);
    atomic_fetch_add(&meter.documents, 1);
}

/* A task: one worker counts one chunk of a document. */
static void count_chunk(void *argument, size_t index) {
    struct document *document = argument;
    uint64_t offset = index * options.chunk_bytes, words = 0;
    uint64_t left = document->file->size - offset;
    size_t size = (size_t)(left < options.chunk_bytes ? left : options.chunk_bytes);

    struct scratch *scratch = options.store->borrow(document);
    if (scratch == NULL) {
        if (!atomic_exchange(&failed, true)) meter_note("no memory for a scratch buffer");
    } else {
        /* A correct store never returns a buffer of another document. The program only counts
         * such buffers, and continues with what it was given. */
        if (scratch->document != 0 && scratch->document != document->serial)
            atomic_fetch_add(&meter.stale, 1);
        scratch->document = document->serial;
        if (!document_count(document->descriptor, offset, size, scratch->text, &words) &&
            !atomic_exchange(&failed, true))
            meter_note(strerror(errno));
        scratch->words += words;
        document->worker_words[pool_worker()] = scratch->words;
        options.store->give_back(document, scratch);
        atomic_fetch_add(&meter.chunks, 1);
    }
    if (atomic_fetch_sub(&document->chunks_left, 1) == 1) finish_document(document);
}

/* Makes a document of a file, and tasks of its chunks. Returns false, after reporting the reason, if
 * that failed. */
static bool submit(struct pool *pool, const struct file *file, struct report *report) {
    int descriptor = open(file->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 && errno == ENOENT) {
        atomic_fetch_add(&meter.changed, 1); /* the file was removed */
        return true;
    }
    if (descriptor < 0) {
        meter_note(strerror(errno));
        return false;
    }
    struct document *document =
        calloc(1, sizeof *document + options.threads * sizeof document->worker_words[0]);
    if (document == NULL) {
        meter_note("no memory for a document");
        close(descriptor);
        return false;
    }
    document->serial = ++report->submitted;
    document->file = file;
    document->descriptor = descriptor;
    if (options.store->begin(document) != 0) {
        close(descriptor);
        free(document);
        return false;
    }
    report->true_words += file->words;
    size_t chunks = (size_t)((file->size + options.chunk_bytes - 1) / options.chunk_bytes);
    if (chunks == 0) chunks = 1;
    atomic_store(&document->chunks_left, chunks);
    for (size_t i = 0; i < chunks; i++) pool_submit(pool, count_chunk, document, i);
    return true;
}

static void work(struct pool *pool, const struct files *files, struct report *report) {
    for (uint64_t round = 0; round < options.repeat; round++) {
        for (size_t i = 0; i < files->count && !atomic_load(&failed); i++) {
            if (meter_alive() * SCRATCH_BYTES > options.limit_bytes) {
                meter_note("stopped: the buffers take more memory than --limit allows");
                report->stopped_early = true;
                return;
            }
            if (!submit(pool, &files->list[i], report)) {
                atomic_store(&failed, true);
                return;
            }
        }
    }
}

static bool write_json(const struct report *report) {
    FILE *out = fopen(options.json, "w");
    if (out != NULL) report_json(report, out);
    if (out == NULL || fclose(out) != 0) {
        fprintf(stderr, "pool: cannot write %s: %s\n", options.json, strerror(errno));
        return false;
    }
    return true;
}

static int run(const struct files *files) {
    FILE *samples = NULL;
    if (options.samples != NULL && (samples = fopen(options.samples, "w")) == NULL) {
        fprintf(stderr, "pool: cannot write %s: %s\n", options.samples, strerror(errno));
        return 1;
    }
    struct pool *pool = pool_start(
        options.threads, (struct pool_hooks){.after_task = options.store->after_task,
                                             .worker_exit = options.store->worker_exit});
    if (pool == NULL) {
        fprintf(stderr, "pool: cannot start %u threads: try fewer with --threads\n",
                options.threads);
        return 1;
    }
    struct report report = {
        .with = options.store->name,
        .threads = options.threads,
        .files = files->count,
        .repeat = options.repeat,
        .slots_known = options.store->slots != NULL,
    };
    int error = meter_start(report.with, files->count * options.repeat, samples,
                            options.store->slots);
    if (error != 0) {
        fprintf(stderr, "pool: cannot start the thread that samples: %s\n", strerror(error));
        return 1;
    }
    work(pool, files, &report);
    pool_drain(pool);
    report.seconds = meter_seconds();
    report.alive_when_done = meter_alive();
    pool_stop(pool);
    meter_stop();
    report.alive_at_end = meter_alive();
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) report.peak_rss_kib = (uint64_t)usage.ru_maxrss;

    if (samples != NULL && fclose(samples) != 0) {
        fprintf(stderr, "pool: cannot write %s: %s\n", options.samples, strerror(errno));
        return 1;
    }
    if (atomic_load(&failed)) return 1;
    report_print(&report, stdout);
    if (options.json != NULL && !write_json(&report)) return 1;
    return report.alive_when_done > 0 || atomic_load(&meter.miscounted) > 0 ||
                   atomic_load(&meter.keyless) > 0
               ? 3
               : 0;
}

static void show_found(size_t files) {
    static int terminal = -1;
    if (terminal < 0) terminal = isatty(STDERR_FILENO);
    if (terminal && files % 256 == 0) fprintf(stderr, "\r\033[Kreading: %zu files", files);
}

int main(int count, char **arguments) {
    options = options_parse(count, arguments);
    struct files files;
    int error = files_find(&files, options.folder, show_found);
    if (error != 0) {
        fprintf(stderr, "pool: cannot read the folder %s: %s\n", options.folder, strerror(error));
        return 1;
    }
    if (files.unreadable > 0)
        fprintf(stderr, "pool: left out %zu files that cannot be read\n", files.unreadable);
    if (files.count == 0) {
        fprintf(stderr, "pool: no file below %s: give a folder with files in it\n", options.folder);
        return 1;
    }
    uint64_t rounds = (options.documents + files.count - 1) / files.count;
    if (options.repeat < rounds) options.repeat = rounds;
    int status = run(&files);
    files_free(&files);
    return status;
}
