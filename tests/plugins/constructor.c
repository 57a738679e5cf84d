/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* N11: opens starter.c, which uses the library in its constructor.
 *
 *     constructor PLUGIN
 */
#define TLS_NO_INLINE
#include "loading.h"

int
main(int count, char **arguments)
{
    int (*ended)(void);

    CHECK_INT(count, 2);
    find_function(open_object(arguments[1]), "starter_ended", &ended);
    CHECK_INT(ended(), 1);
    return 0;
}
