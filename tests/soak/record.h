/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Samples over time: printed, written to a file, and checked. */
#ifndef SOAK_RECORD_H
#define SOAK_RECORD_H

#include <stdbool.h>

/* csv: may be NULL. False: the file can't be written, which has been said. */
bool record_begin(const char *csv);

/* Takes a sample. */
void record_sample(double seconds);

/* Prints the last sample as one line. */
void record_progress(void);

/* Says so (soak_wrong) if memory has grown. */
void record_check_growth(void);

void record_end(void);

#endif
