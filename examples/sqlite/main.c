/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* SQLite connections: one for each database and thread that uses it.
 *
 * A server keeps the database of a customer open while the customer works with it. Any worker may
 * work on any database, and needs a connection of its own to each. When a database is closed, all
 * workers' connections to it must be closed, each on its own thread. Otherwise they hold memory,
 * file descriptors and the file itself for as long as the pool exists.
 *
 *     sqlite [FOLDER]     the databases are made in a new folder below it, and removed */
#define _XOPEN_SOURCE 700
#include "../things/keep.h"
#include "../things/work.h"
#include "connection.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, DATABASES = 24, TASKS = 48, BOOKINGS = 25 };

struct database {
    const struct way *way;
    struct keep connections;
    char path[512];
};

static char folder[400];

/* The last connection was closed, and SQLite has removed what lay beside the file. */
static void remove_database(void *object) {
    struct database *database = object;
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s%s", database->path, ends[i]);
        unlink(path);
    }
    free(database);
}

static void *make_connection(void *object) {
    struct database *database = object;
    return connection_open(database->path);
}

static void destroy_connection(void *thing) { connection_close(thing); }

static const struct kind connections = {
    .name = "connection",
    .make = make_connection,
    .destroy = destroy_connection,
    .over = remove_database,
};

static void *open_database(unsigned number, const struct way *way) {
    struct database *database = calloc(1, sizeof *database);
    if (database == NULL) return NULL;
    database->way = way;
    database->connections = (struct keep){.kind = &connections, .object = database};
    snprintf(database->path, sizeof database->path, "%s/customer-%u.db", folder, number);
    if (!connection_create(database->path) || way->open(&database->connections) != 0) {
        remove_database(database);
        return NULL;
    }
    return database;
}

static bool book(void *object, size_t index) {
    struct database *database = object;
    struct connection *connection = database->way->mine(&database->connections);
    return connection != NULL && connection_book(connection, (int64_t)index * BOOKINGS, BOOKINGS);
}

static bool close_database(void *object) {
    struct database *database = object;
    struct connection *connection = database->way->mine(&database->connections);
    const int64_t expected = (int64_t)TASKS * BOOKINGS;
    int64_t rows = 0, sum = 0;
    bool right = connection != NULL && connection_total(connection, &rows, &sum) &&
                 rows == expected && sum == expected * (expected - 1) / 2;
    if (!right)
        fprintf(stderr, "sqlite: %s: %lld rows, sum %lld\n", database->path, (long long)rows,
                (long long)sum);
    database->way->close(&database->connections);
    return right;
}

static size_t sqlite_bytes(void) { return (size_t)sqlite3_memory_used(); }

int main(int count, char **arguments) {
    char title[200];
    const char *below = count > 1 ? arguments[1] : "/tmp";
    if (snprintf(folder, sizeof folder, "%s/threadlocalmap-XXXXXX", below) >= (int)sizeof folder ||
        mkdtemp(folder) == NULL) {
        fprintf(stderr, "sqlite: cannot make a folder below %s: %s\n", below, strerror(errno));
        return WORK_FAILED;
    }
    if (sqlite3_initialize() != SQLITE_OK || sqlite3_threadsafe() == 0) {
        fprintf(stderr, "sqlite: this SQLite is not made for threads\n");
        return WORK_FAILED;
    }
    snprintf(title, sizeof title,
             "SQLite %s: %d databases, opened, used by %d threads, and closed;\n"
             "a connection for each thread and database, %d transactions for each database",
             sqlite3_libversion(), DATABASES, THREADS, TASKS);
    struct plan plan = {
        .title = title,
        .things = "connections",
        .owner = "SQLite",
        .threads = THREADS,
        .objects = DATABASES,
        .tasks = TASKS,
        .open = open_database,
        .task = book,
        .close = close_database,
        .bytes = sqlite_bytes,
    };
    int status = work(&plan);
    if (rmdir(folder) != 0 && status == WORK_OK) {
        fprintf(stderr, "sqlite: cannot remove %s: %s\n", folder, strerror(errno));
        status = WORK_FAILED;
    }
    return status;
}
