/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#define _XOPEN_SOURCE 700
#include "document.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Letters, digits, the underscore, and every byte of a character beyond ASCII. */
static bool in_word(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c >= 0x80;
}

bool document_count(int descriptor, uint64_t offset, size_t size, char *text, uint64_t *words) {
    /* The byte before the chunk shows whether a word began before the chunk. */
    size_t before = offset > 0 ? 1 : 0, length = 0;
    while (length < size + before) {
        ssize_t got = pread(descriptor, text + length, size + before - length,
                            (off_t)(offset - before + length));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return false;
        if (got == 0) break; /* the file was truncated */
        length += (size_t)got;
    }
    bool inside = before > 0 && length > 0 && in_word((unsigned char)text[0]);
    uint64_t found = 0;
    for (size_t i = before; i < length; i++) {
        bool now = in_word((unsigned char)text[i]);
        found += now && !inside;
        inside = now;
    }
    *words = found;
    return true;
}

static bool count_whole(struct file *file) {
    static char text[SCRATCH_BYTES];
    const size_t step = sizeof text - 1;
    int descriptor = open(file->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    bool ok = true;
    file->words = 0;
    for (uint64_t offset = 0; ok && offset < file->size; offset += step) {
        uint64_t left = file->size - offset, words = 0;
        ok = document_count(descriptor, offset, left < step ? (size_t)left : step, text, &words);
        file->words += words;
    }
    close(descriptor);
    return ok;
}

static int add_file(struct files *files, char *path, const struct stat *status) {
    if (files->count == files->capacity) {
        size_t capacity = files->capacity == 0 ? 256 : files->capacity * 2;
        struct file *list = realloc(files->list, capacity * sizeof *list);
        if (list == NULL) return ENOMEM;
        files->list = list;
        files->capacity = capacity;
    }
    struct file *file = &files->list[files->count];
    *file = (struct file){
        .path = path, .size = (uint64_t)status->st_size, .modified = status->st_mtim};
    if (count_whole(file)) {
        files->words += file->words;
        files->count++;
        files->progress(files->count);
    } else {
        files->unreadable++;
        free(path);
    }
    return 0;
}

static int not_hidden(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static bool is_cache(const char *folder) {
    char tag[4096];
    int length = snprintf(tag, sizeof tag, "%s/CACHEDIR.TAG", folder);
    return length > 0 && (size_t)length < sizeof tag && access(tag, F_OK) == 0;
}

static char *join(const char *folder, const char *name) {
    size_t length = strlen(folder) + strlen(name) + 2;
    char *path = malloc(length);
    if (path != NULL) snprintf(path, length, "%s/%s", folder, name);
    return path;
}

static int walk(struct files *files, const char *folder) {
    struct dirent **entries;
    int count = scandir(folder, &entries, not_hidden, alphasort);
    if (count < 0) return errno;
    int error = 0;
    for (int i = 0; i < count; i++) {
        char *path = error == 0 ? join(folder, entries[i]->d_name) : NULL;
        struct stat status;
        if (path == NULL) {
            if (error == 0) error = ENOMEM;
        } else if (lstat(path, &status) != 0) {
            files->unreadable++;
            free(path);
        } else if (S_ISREG(status.st_mode)) {
            error = add_file(files, path, &status);
            if (error != 0) free(path);
        } else {
            if (S_ISDIR(status.st_mode) && !is_cache(path)) {
                error = walk(files, path);
                if (error == EACCES) {
                    files->unreadable++;
                    error = 0;
                }
            }
            free(path);
        }
        free(entries[i]);
    }
    free(entries);
    return error;
}

int files_find(struct files *files, const char *folder, void (*progress)(size_t files)) {
    *files = (struct files){.progress = progress};
    int error = walk(files, folder);
    if (error != 0) files_free(files);
    return error;
}

void files_free(struct files *files) {
    for (size_t i = 0; i < files->count; i++) free(files->list[i].path);
    free(files->list);
    *files = (struct files){0};
}
