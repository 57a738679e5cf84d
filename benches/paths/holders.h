/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threads that sleep, and do one thing each time they are woken.
 *
 * Each has a map of its own, so each can have a value under a key. One does
 * something at a time, while the thread that wakes them waits: what all have done is the same
 * in each run of the program.
 */
#ifndef PATHS_HOLDERS_H
#define PATHS_HOLDERS_H

#define MOST_HOLDERS 100

/* From now on there are at least `count`. */
void holders_start(unsigned count);

/* The first `count` do it, one after the other. */
void holders_do(unsigned count, void (*job)(void));

/* They end. */
void holders_end(void);

#endif
