/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Returns 1, 2, 3 and so on: a number of the calling thread. -1: it failed. */
int counter_next(void);
