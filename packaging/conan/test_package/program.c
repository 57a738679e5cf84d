/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A value of a key that has died is destroyed, once. The packages' tests run it. */
#include <stdio.h>
#include <threadlocalmap.h>

static int destroyed;

static void destroy(void *value, int reason, void *user)
{
  (void)user;
  *(int *)value = reason;
  destroyed++;
}

int main(void)
{
  tls_key_options_t options = {0};
  tls_key_t key = TLS_KEY_NONE;
  int value = 0;
  options.size = sizeof options;
  options.destroy = destroy;
  if (tls_key_create(&key, &options) != TLS_OK) return 1;
  if (tls_set(key, &value) != TLS_OK || tls_get(key) != &value) return 2;
  if (tls_key_release(key) != TLS_OK) return 3;
  tls_expunge();
  if (destroyed != 1 || value != TLS_REASON_KEY_DEAD) return 4;
  printf("threadlocalmap %s\n", tls_version_string());
  return tls_version() == TLS_VERSION_NUMBER ? 0 : 5;
}
