#pragma once

/* Ends the process by the signal, as it ends a program that does not know it: a shell then leaves
 * its loop or script, too, which it does not for an exit. What is in stdio's buffers is written. */
__attribute__((noreturn)) void exit_by_signal(int signum);
