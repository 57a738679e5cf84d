/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A connection to an SQLite database, with its prepared statements: one thread's.
 *
 * It is opened with SQLITE_OPEN_NOMUTEX: SQLite takes no lock for it, and no two threads may ever
 * be inside it at once. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

struct connection;

struct connection *connection_open(const char *path); /* NULL after an error */
void connection_close(struct connection *connection);

/* Books `count` amounts, from `first` on, in one transaction. */
bool connection_book(struct connection *connection, int64_t first, int count);

/* How many rows there are, and what they come to. */
bool connection_total(struct connection *connection, int64_t *rows, int64_t *sum);

/* Makes an empty database, with the table that the others need. */
bool connection_create(const char *path);

#endif
