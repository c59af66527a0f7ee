#pragma once
#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

// sd-bus' own calls for values are variadic or take void pointers: one typed function for each type that is used.

static inline int switchyard_append_string(sd_bus_message *m, const char *value) {
  return sd_bus_message_append_basic(m, SD_BUS_TYPE_STRING, value);
}
static inline int switchyard_append_bool(sd_bus_message *m, int value) {
  return sd_bus_message_append_basic(m, SD_BUS_TYPE_BOOLEAN, &value);
}
static inline int switchyard_append_uint64(sd_bus_message *m, uint64_t value) {
  return sd_bus_message_append_basic(m, SD_BUS_TYPE_UINT64, &value);
}
// The text belongs to the message.
static inline int switchyard_read_string(sd_bus_message *m, const char **value) {
  return sd_bus_message_read_basic(m, SD_BUS_TYPE_STRING, value);
}
static inline int switchyard_read_path(sd_bus_message *m, const char **value) {
  return sd_bus_message_read_basic(m, SD_BUS_TYPE_OBJECT_PATH, value);
}
static inline int switchyard_read_uint32(sd_bus_message *m, uint32_t *value) {
  return sd_bus_message_read_basic(m, SD_BUS_TYPE_UINT32, value);
}
static inline int switchyard_read_uint64(sd_bus_message *m, uint64_t *value) {
  return sd_bus_message_read_basic(m, SD_BUS_TYPE_UINT64, value);
}
static inline int switchyard_read_bool(sd_bus_message *m, int *value) {
  return sd_bus_message_read_basic(m, SD_BUS_TYPE_BOOLEAN, value);
}
static inline int switchyard_read_int32(sd_bus_message *m, int32_t *value) {
  return sd_bus_message_read_basic(m, SD_BUS_TYPE_INT32, value);
}
static inline int switchyard_read_bytes(sd_bus_message *m, const void **value, size_t *count) {
  return sd_bus_message_read_array(m, SD_BUS_TYPE_BYTE, value, count);
}

// A match without a function of its own: messages are taken from sd_bus_process.
static inline int switchyard_pass_on(sd_bus_message *m, void *userdata, sd_bus_error *error) {
  (void)m; (void)userdata; (void)error;
  return 0;
}
static inline int switchyard_match_signal(
    sd_bus *bus, const char *sender, const char *path, const char *interface, const char *member) {
  return sd_bus_match_signal(bus, NULL, sender, path, interface, member, switchyard_pass_on, NULL);
}
