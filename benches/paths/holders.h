/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Threads that sleep, and run one function each time they are woken.
 *
 * Each can have a value under a key. Only one of them runs at a time, while the
 * thread that has woken it waits, so each run of the program does the same.
 */
#ifndef PATHS_HOLDERS_H
#define PATHS_HOLDERS_H

#define MOST_HOLDERS 100

/* Starts threads until there are at least `count`. */
void holders_start(unsigned count);

/* The first `count` threads run `job`, one after the other. */
void holders_do(unsigned count, void (*job)(void));

/* Ends all of them. */
void holders_end(void);

#endif
