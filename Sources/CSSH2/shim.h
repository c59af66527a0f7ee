#pragma once
#include <errno.h>
#include <libssh2.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

// Receives for a session whose abstract pointer is a counter, and counts.
static inline ssize_t cssh2_receive(libssh2_socket_t socket, void *buffer,
                                    size_t length, int flags,
                                    void **abstract) {
  ssize_t count = recv(socket, buffer, length, flags);
  if (count < 0) return errno == EINTR ? -EAGAIN : -errno;
  *(uint64_t *)*abstract += (uint64_t)count;
  return count;
}

// A non-blocking session that adds to `received` what it receives; NULL without
// memory. The counter must outlive it.
static inline LIBSSH2_SESSION *cssh2_session(uint64_t *received) {
  LIBSSH2_SESSION *session = libssh2_session_init_ex(NULL, NULL, NULL, received);
  if (!session) return NULL;
  libssh2_session_set_blocking(session, 0);
  libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV,
                               (void *)cssh2_receive);
  return session;
}
