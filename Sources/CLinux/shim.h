// What Swift's Glibc module leaves out of the kernel's interface.
#pragma once
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <pthread.h>

// Declared by glibc for _GNU_SOURCE only.
extern int pthread_setname_np(pthread_t thread, const char *name);
extern int accept4(int listener, struct sockaddr *address, socklen_t *length,
                   int flags);
extern int pipe2(int ends[2], int flags);
// Of a posix_spawn_file_actions_t: with its header here, Glibc's module would
// no longer be the one that owns the types of signals.
extern int posix_spawn_file_actions_addclosefrom_np(void *actions, int from);
