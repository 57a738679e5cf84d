/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Takes BYTES of the room that the C library keeps for libraries with
 * initial-exec thread-local storage that are loaded late. */

__thread char glutton_bytes[BYTES] __attribute__((tls_model("initial-exec")));

char *glutton_look(void);

char *
glutton_look(void)
{
    return glutton_bytes;
}
