/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "report.h"
#include "meter.h"
#include "scratch.h"

#include <inttypes.h>

/* 1234567 as "1,234,567". */
static const char *grouped(uint64_t number, char out[32]) {
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRIu64, number);
    char *to = out;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

static void row(FILE *out, const char *what, uint64_t number, const char *remark) {
    char text[32];
    fprintf(out, "  %-30s %12s%s%s\n", what, grouped(number, text), *remark != '\0' ? "  " : "",
            remark);
}

static double mib(uint64_t buffers) {
    return (double)buffers * SCRATCH_BYTES / (1024.0 * 1024.0);
}

static void print_words(const struct report *report, FILE *out) {
    uint64_t words = atomic_load(&meter.words), miscounted = atomic_load(&meter.miscounted);
    char remark[128] = "right", by[32], in[32];
    if (miscounted > 0) {
        bool more = words > report->true_words;
        uint64_t off = more ? words - report->true_words : report->true_words - words;
        snprintf(remark, sizeof remark, "WRONG by %s, in %s documents", grouped(off, by),
                 grouped(miscounted, in));
    }
    row(out, "words", words, remark);
}

void report_print(const struct report *report, FILE *out) {
    char remark[128];
    fprintf(out, "\n--with %s: %u threads, a scratch buffer of %zu KiB for each thread and document\n\n",
            report->with, report->threads, SCRATCH_BYTES / 1024);
    snprintf(remark, sizeof remark, "%" PRIu64 " files, %" PRIu64 " times over%s", report->files,
             report->repeat, report->stopped_early ? "; STOPPED at the memory limit" : "");
    row(out, "documents", atomic_load(&meter.documents), remark);
    if (atomic_load(&meter.changed) > 0)
        row(out, "  files changed meanwhile", atomic_load(&meter.changed), "or removed: their words are not checked");
    row(out, "chunks", atomic_load(&meter.chunks), "");
    print_words(report, out);
    row(out, "buffers made", atomic_load(&meter.made), "");
    uint64_t elsewhere = atomic_load(&meter.freed_elsewhere);
    snprintf(remark, sizeof remark, "%" PRIu64 " by another thread than the one that made them",
             elsewhere);
    row(out, "buffers freed", atomic_load(&meter.freed), elsewhere > 0 ? remark : "");
    snprintf(remark, sizeof remark, "%.1f MiB", mib(atomic_load(&meter.peak)));
    row(out, "  most alive at once", atomic_load(&meter.peak), remark);
    snprintf(remark, sizeof remark, "%.1f MiB while the pool still runs",
             mib(report->alive_when_done));
    row(out, "  alive when all was done", report->alive_when_done, remark);
    snprintf(remark, sizeof remark, "%.1f MiB%s", mib(report->alive_at_end),
             report->alive_at_end > 0 ? " LEAKED" : "");
    row(out, "  alive after the pool's end", report->alive_at_end, remark);
    row(out, "dead documents' buffers reused", atomic_load(&meter.stale),
        atomic_load(&meter.stale) > 0 ? "a new document lay at a dead one's address" : "");
    row(out, "documents without a key", atomic_load(&meter.keyless), "");
    if (report->slots_known)
        row(out, "most table slots", atomic_load(&meter.peak_slots), "all threads together");
    row(out, "peak RSS, KiB", report->peak_rss_kib, "");
    fprintf(out, "  %-30s %12.2f\n", "seconds", report->seconds);
}

void report_json(const struct report *report, FILE *out) {
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"threads", report->threads},
        {"files", report->files},
        {"repeat", report->repeat},
        {"documents", atomic_load(&meter.documents)},
        {"chunks", atomic_load(&meter.chunks)},
        {"words", atomic_load(&meter.words)},
        {"true_words", report->true_words},
        {"miscounted_documents", atomic_load(&meter.miscounted)},
        {"buffer_bytes", SCRATCH_BYTES},
        {"buffers_made", atomic_load(&meter.made)},
        {"buffers_freed", atomic_load(&meter.freed)},
        {"freed_elsewhere", atomic_load(&meter.freed_elsewhere)},
        {"peak_alive", atomic_load(&meter.peak)},
        {"alive_when_done", report->alive_when_done},
        {"alive_at_end", report->alive_at_end},
        {"stale_buffers_reused", atomic_load(&meter.stale)},
        {"documents_without_key", atomic_load(&meter.keyless)},
        {"peak_rss_kib", report->peak_rss_kib},
    };
    fprintf(out, "{\n  \"with\": \"%s\",\n", report->with);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        fprintf(out, "  \"%s\": %" PRIu64 ",\n", numbers[i].name, numbers[i].value);
    if (report->slots_known)
        fprintf(out, "  \"peak_slots\": %" PRIu64 ",\n", (uint64_t)atomic_load(&meter.peak_slots));
    fprintf(out, "  \"stopped_early\": %s,\n", report->stopped_early ? "true" : "false");
    fprintf(out, "  \"seconds\": %.3f\n}\n", report->seconds);
}
