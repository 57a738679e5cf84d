/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A library that uses ours, through the header. */
#include "counter.h"

#include <threadlocalmap.h>

static tls_key_t key;

int counter_next(void) {
  static int numbers[100];
  int *number;
  if (key == TLS_KEY_NONE && tls_key_create(&key, NULL) != TLS_OK) {
    return -1;
  }
  number = (int *)tls_get(key);
  number = number ? number + 1 : numbers + 1;
  if (tls_set(key, number) != TLS_OK || tls_get_existing(key) != number) {
    return -1;
  }
  return (int)(number - numbers);
}
