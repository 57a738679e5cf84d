/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "connection.h"
#include "../things/ledger.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

struct connection {
    unsigned maker;
    sqlite3 *handle;
    sqlite3_stmt *begin, *book, *commit, *total;
};

enum { WAIT_MS = 20000 }; /* for other connections' transactions */

static bool report(sqlite3 *handle, const char *what) {
    fprintf(stderr, "sqlite: %s: %s\n", what, sqlite3_errmsg(handle));
    return false;
}

/* The database of a demo need not survive a power failure. */
static sqlite3 *open_handle(const char *path, int flags) {
    sqlite3 *handle = NULL;
    if (sqlite3_open_v2(path, &handle, flags | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(handle, WAIT_MS) == SQLITE_OK &&
        sqlite3_exec(handle, "PRAGMA synchronous = OFF", NULL, NULL, NULL) == SQLITE_OK)
        return handle;
    report(handle, path);
    sqlite3_close(handle);
    return NULL;
}

static bool prepare(struct connection *connection, const char *text, sqlite3_stmt **statement) {
    if (sqlite3_prepare_v3(connection->handle, text, -1, SQLITE_PREPARE_PERSISTENT, statement,
                           NULL) == SQLITE_OK)
        return true;
    return report(connection->handle, text);
}

struct connection *connection_open(const char *path) {
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) return NULL;
    connection->maker = ledger_made();
    connection->handle = open_handle(path, SQLITE_OPEN_READWRITE);
    if (connection->handle == NULL ||
        !prepare(connection, "BEGIN IMMEDIATE", &connection->begin) ||
        !prepare(connection, "INSERT INTO booking (amount) VALUES (?)", &connection->book) ||
        !prepare(connection, "COMMIT", &connection->commit) ||
        !prepare(connection, "SELECT count(*), sum(amount) FROM booking", &connection->total)) {
        connection_close(connection);
        return NULL;
    }
    return connection;
}

void connection_close(struct connection *connection) {
    sqlite3_finalize(connection->begin);
    sqlite3_finalize(connection->book);
    sqlite3_finalize(connection->commit);
    sqlite3_finalize(connection->total);
    /* SQLITE_BUSY would mean that a statement is still in use, and the connection stays open. */
    if (sqlite3_close(connection->handle) != SQLITE_OK) {
        report(connection->handle, "cannot close");
        abort();
    }
    ledger_destroyed(connection->maker);
    free(connection);
}

/* Runs a statement that returns no rows. */
static bool step(struct connection *connection, sqlite3_stmt *statement) {
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE || report(connection->handle, sqlite3_sql(statement));
}

bool connection_book(struct connection *connection, int64_t first, int count) {
    if (!step(connection, connection->begin)) return false;
    for (int i = 0; i < count; i++) {
        sqlite3_bind_int64(connection->book, 1, first + i);
        if (!step(connection, connection->book)) return false;
    }
    return step(connection, connection->commit);
}

bool connection_total(struct connection *connection, int64_t *rows, int64_t *sum) {
    bool found = sqlite3_step(connection->total) == SQLITE_ROW;
    if (found) {
        *rows = sqlite3_column_int64(connection->total, 0);
        *sum = sqlite3_column_int64(connection->total, 1);
    }
    sqlite3_reset(connection->total);
    return found || report(connection->handle, sqlite3_sql(connection->total));
}

bool connection_create(const char *path) {
    sqlite3 *handle = open_handle(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (handle == NULL) return false;
    bool made = sqlite3_exec(handle,
                             "PRAGMA journal_mode = WAL;"
                             "CREATE TABLE booking (id INTEGER PRIMARY KEY, amount INTEGER)",
                             NULL, NULL, NULL) == SQLITE_OK ||
                report(handle, path);
    sqlite3_close(handle);
    return made;
}
