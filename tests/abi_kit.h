/* abi_kit.h: the layout that modules and programs of ABI 1 are built for, as it was frozen. Rows may be added when
 * a table grows at its end, or an enum does; to change or remove one is a new WEIR_ABI. x86-64 and other LP64
 * machines. */
#ifndef WEIR_ABI_KIT_H
#define WEIR_ABI_KIT_H

/* GROWS(table, size then): begins with its size, which may only become more. FIXED(struct, size): lies in arrays or
 * is inside another (a weir_batch in weir_write). MEMBER(struct, member, offset, size). */
#define ABI_LAYOUT                                                                                                 \
    FIXED(weir_view, 16)                                                                                           \
    MEMBER(weir_view, data, 0, 8)                                                                                  \
    MEMBER(weir_view, size, 8, 8)                                                                                  \
    FIXED(weir_header, 32)                                                                                         \
    MEMBER(weir_header, name, 0, 16)                                                                               \
    MEMBER(weir_header, value, 16, 16)                                                                             \
    FIXED(weir_event, 112)                                                                                         \
    MEMBER(weir_event, payload, 0, 16)                                                                             \
    MEMBER(weir_event, key, 16, 16)                                                                                \
    MEMBER(weir_event, subject, 32, 16)                                                                            \
    MEMBER(weir_event, id, 48, 16)                                                                                 \
    MEMBER(weir_event, headers, 64, 8)                                                                             \
    MEMBER(weir_event, header_count, 72, 8)                                                                        \
    MEMBER(weir_event, time_us, 80, 8)                                                                             \
    MEMBER(weir_event, position, 88, 8)                                                                            \
    MEMBER(weir_event, reserved, 96, 16)                                                                           \
    FIXED(weir_batch, 96)                                                                                          \
    MEMBER(weir_batch, size, 0, 8)                                                                                 \
    MEMBER(weir_batch, events, 8, 8)                                                                               \
    MEMBER(weir_batch, count, 16, 8)                                                                               \
    MEMBER(weir_batch, route, 24, 16)                                                                              \
    MEMBER(weir_batch, source, 40, 16)                                                                             \
    MEMBER(weir_batch, shard, 56, 16)                                                                              \
    MEMBER(weir_batch, id_prefix, 72, 16)                                                                          \
    MEMBER(weir_batch, attempt, 88, 4)                                                                             \
    MEMBER(weir_batch, id_less, 92, 4)                                                                             \
    GROWS(weir_api, 72)                                                                                            \
    MEMBER(weir_api, size, 0, 8)                                                                                   \
    MEMBER(weir_api, put, 8, 8)                                                                                    \
    MEMBER(weir_api, forward, 16, 8)                                                                               \
    MEMBER(weir_api, fail, 24, 8)                                                                                  \
    MEMBER(weir_api, state_get, 32, 8)                                                                             \
    MEMBER(weir_api, state_put, 40, 8)                                                                             \
    MEMBER(weir_api, state_del, 48, 8)                                                                             \
    MEMBER(weir_api, event_id, 56, 8)                                                                              \
    MEMBER(weir_api, alloc, 64, 8)                                                                                 \
    FIXED(weir_out, 8)                                                                                             \
    MEMBER(weir_out, api, 0, 8)                                                                                    \
    GROWS(weir_function_ops, 72)                                                                                   \
    MEMBER(weir_function_ops, size, 0, 8)                                                                          \
    MEMBER(weir_function_ops, type, 8, 8)                                                                          \
    MEMBER(weir_function_ops, summary, 16, 8)                                                                      \
    MEMBER(weir_function_ops, options, 24, 8)                                                                      \
    MEMBER(weir_function_ops, state_size, 32, 8)                                                                   \
    MEMBER(weir_function_ops, flags, 40, 4)                                                                        \
    MEMBER(weir_function_ops, reserved, 44, 4)                                                                     \
    MEMBER(weir_function_ops, init, 48, 8)                                                                         \
    MEMBER(weir_function_ops, call, 56, 8)                                                                         \
    MEMBER(weir_function_ops, fini, 64, 8)                                                                         \
    GROWS(weir_module_info, 56)                                                                                    \
    MEMBER(weir_module_info, abi, 0, 4)                                                                            \
    MEMBER(weir_module_info, reserved, 4, 4)                                                                       \
    MEMBER(weir_module_info, size, 8, 8)                                                                           \
    MEMBER(weir_module_info, name, 16, 8)                                                                          \
    MEMBER(weir_module_info, version, 24, 8)                                                                       \
    MEMBER(weir_module_info, sources, 32, 8)                                                                       \
    MEMBER(weir_module_info, sinks, 40, 8)                                                                         \
    MEMBER(weir_module_info, functions, 48, 8)                                                                     \
    FIXED(weir_range, 16)                                                                                          \
    MEMBER(weir_range, low, 0, 8)                                                                                  \
    MEMBER(weir_range, high, 8, 8)                                                                                 \
    FIXED(weir_list, 16)                                                                                           \
    MEMBER(weir_list, items, 0, 8)                                                                                 \
    MEMBER(weir_list, count, 8, 8)                                                                                 \
    FIXED(weir_map, 24)                                                                                            \
    MEMBER(weir_map, names, 0, 8)                                                                                  \
    MEMBER(weir_map, values, 8, 8)                                                                                 \
    MEMBER(weir_map, count, 16, 8)                                                                                 \
    FIXED(weir_option, 72)                                                                                         \
    MEMBER(weir_option, name, 0, 8)                                                                                \
    MEMBER(weir_option, help, 8, 8)                                                                                \
    MEMBER(weir_option, fallback, 16, 8)                                                                           \
    MEMBER(weir_option, choices, 24, 8)                                                                            \
    MEMBER(weir_option, rows, 32, 8)                                                                               \
    MEMBER(weir_option, offset, 40, 8)                                                                             \
    MEMBER(weir_option, min, 48, 8)                                                                                \
    MEMBER(weir_option, max, 56, 8)                                                                                \
    MEMBER(weir_option, type, 64, 4)                                                                               \
    MEMBER(weir_option, flags, 68, 4)                                                                              \
    GROWS(weir_host, 240)                                                                                          \
    MEMBER(weir_host, size, 0, 8)                                                                                  \
    MEMBER(weir_host, name, 8, 16)                                                                                 \
    MEMBER(weir_host, store_id, 24, 16)                                                                            \
    MEMBER(weir_host, event_bytes_max, 40, 8)                                                                      \
    MEMBER(weir_host, watch_fd, 48, 8)                                                                             \
    MEMBER(weir_host, watch_stop, 56, 8)                                                                           \
    MEMBER(weir_host, timer_new, 64, 8)                                                                            \
    MEMBER(weir_host, timer_set, 72, 8)                                                                            \
    MEMBER(weir_host, timer_free, 80, 8)                                                                           \
    MEMBER(weir_host, wake, 88, 8)                                                                                 \
    MEMBER(weir_host, offload, 96, 8)                                                                              \
    MEMBER(weir_host, log, 104, 8)                                                                                 \
    MEMBER(weir_host, stat_add, 112, 8)                                                                            \
    MEMBER(weir_host, wall_us, 120, 8)                                                                             \
    MEMBER(weir_host, mono_us, 128, 8)                                                                             \
    MEMBER(weir_host, refuse, 136, 8)                                                                              \
    MEMBER(weir_host, render, 144, 8)                                                                              \
    MEMBER(weir_host, event_id, 152, 8)                                                                            \
    MEMBER(weir_host, shard_open, 160, 8)                                                                          \
    MEMBER(weir_host, emit, 168, 8)                                                                                \
    MEMBER(weir_host, shard_revoke, 176, 8)                                                                        \
    MEMBER(weir_host, ended, 184, 8)                                                                               \
    MEMBER(weir_host, write_event, 192, 8)                                                                         \
    MEMBER(weir_host, write_done, 200, 8)                                                                          \
    MEMBER(weir_host, stopped, 208, 8)                                                                             \
    MEMBER(weir_host, failed, 216, 8)                                                                              \
    MEMBER(weir_host, prefetch_bytes, 224, 8)                                                                      \
    MEMBER(weir_host, shard_stat, 232, 8)                                                                          \
    GROWS(weir_resume, 72)                                                                                         \
    MEMBER(weir_resume, size, 0, 8)                                                                                \
    MEMBER(weir_resume, position, 8, 8)                                                                            \
    MEMBER(weir_resume, known, 16, 8)                                                                              \
    MEMBER(weir_resume, note, 24, 16)                                                                              \
    MEMBER(weir_resume, kept, 40, 8)                                                                               \
    MEMBER(weir_resume, is_kept, 48, 8)                                                                            \
    MEMBER(weir_resume, begin, 56, 8)                                                                              \
    MEMBER(weir_resume, pins, 64, 8)                                                                               \
    GROWS(weir_emit, 80)                                                                                           \
    MEMBER(weir_emit, size, 0, 8)                                                                                  \
    MEMBER(weir_emit, events, 8, 8)                                                                                \
    MEMBER(weir_emit, count, 16, 8)                                                                                \
    MEMBER(weir_emit, bytes, 24, 8)                                                                                \
    MEMBER(weir_emit, owner, 32, 8)                                                                                \
    MEMBER(weir_emit, release, 40, 8)                                                                              \
    MEMBER(weir_emit, note, 48, 16)                                                                                \
    MEMBER(weir_emit, first, 64, 8)                                                                                \
    MEMBER(weir_emit, last, 72, 8)                                                                                 \
    GROWS(weir_source_ops, 112)                                                                                    \
    MEMBER(weir_source_ops, size, 0, 8)                                                                            \
    MEMBER(weir_source_ops, type, 8, 8)                                                                            \
    MEMBER(weir_source_ops, summary, 16, 8)                                                                        \
    MEMBER(weir_source_ops, options, 24, 8)                                                                        \
    MEMBER(weir_source_ops, state_size, 32, 8)                                                                     \
    MEMBER(weir_source_ops, flags, 40, 4)                                                                          \
    MEMBER(weir_source_ops, reserved, 44, 4)                                                                       \
    MEMBER(weir_source_ops, init, 48, 8)                                                                           \
    MEMBER(weir_source_ops, start, 56, 8)                                                                          \
    MEMBER(weir_source_ops, want, 64, 8)                                                                           \
    MEMBER(weir_source_ops, settle, 72, 8)                                                                         \
    MEMBER(weir_source_ops, released, 80, 8)                                                                       \
    MEMBER(weir_source_ops, woken, 88, 8)                                                                          \
    MEMBER(weir_source_ops, stop, 96, 8)                                                                           \
    MEMBER(weir_source_ops, fini, 104, 8)                                                                          \
    GROWS(weir_write, 128)                                                                                         \
    MEMBER(weir_write, size, 0, 8)                                                                                 \
    MEMBER(weir_write, batch, 8, 96)                                                                               \
    MEMBER(weir_write, order, 104, 8)                                                                              \
    MEMBER(weir_write, data, 112, 16)                                                                              \
    GROWS(weir_sink_ops, 96)                                                                                       \
    MEMBER(weir_sink_ops, size, 0, 8)                                                                              \
    MEMBER(weir_sink_ops, type, 8, 8)                                                                              \
    MEMBER(weir_sink_ops, summary, 16, 8)                                                                          \
    MEMBER(weir_sink_ops, options, 24, 8)                                                                          \
    MEMBER(weir_sink_ops, state_size, 32, 8)                                                                       \
    MEMBER(weir_sink_ops, flags, 40, 4)                                                                            \
    MEMBER(weir_sink_ops, writes_max, 44, 4)                                                                       \
    MEMBER(weir_sink_ops, init, 48, 8)                                                                             \
    MEMBER(weir_sink_ops, start, 56, 8)                                                                            \
    MEMBER(weir_sink_ops, write, 64, 8)                                                                            \
    MEMBER(weir_sink_ops, woken, 72, 8)                                                                            \
    MEMBER(weir_sink_ops, stop, 80, 8)                                                                             \
    MEMBER(weir_sink_ops, fini, 88, 8)                                                                             \
    GROWS(weir_settings, 88)                                                                                       \
    MEMBER(weir_settings, size, 0, 8)                                                                              \
    MEMBER(weir_settings, modules, 8, 8)                                                                           \
    MEMBER(weir_settings, arg, 16, 8)                                                                              \
    MEMBER(weir_settings, log, 24, 8)                                                                              \
    MEMBER(weir_settings, loop, 32, 8)                                                                             \
    MEMBER(weir_settings, ended, 40, 8)                                                                            \
    MEMBER(weir_settings, control, 48, 8)                                                                          \
    MEMBER(weir_settings, reserved, 56, 32)

/* VALUE(name, value) */
#define ABI_VALUES                                                                                                 \
    VALUE(WEIR_OK, 0)                                                                                              \
    VALUE(WEIR_RETRY, 1)                                                                                           \
    VALUE(WEIR_REJECT, 2)                                                                                          \
    VALUE(WEIR_FATAL, 3)                                                                                           \
    VALUE(WEIR_INVALID, 4)                                                                                         \
    VALUE(WEIR_MISSING, 5)                                                                                         \
    VALUE(WEIR_NOMEM, 6)                                                                                           \
    VALUE(WEIR_FULL, 7)                                                                                            \
    VALUE(WEIR_LOCKED, 8)                                                                                          \
    VALUE(WEIR_NEWER, 9)                                                                                           \
    VALUE(WEIR_DAMAGED, 10)                                                                                        \
    VALUE(WEIR_IO, 11)                                                                                             \
    VALUE(WEIR_CLOSED, 12)                                                                                         \
    VALUE(WEIR_FUNCTION_STATE, 1)                                                                                  \
    VALUE(WEIR_FUNCTION_CHEAP, 2)                                                                                  \
    VALUE(WEIR_ABI, 1)                                                                                             \
    VALUE(WEIR_BATCH, -1)                                                                                          \
    VALUE(WEIR_ID_MAX, 512)                                                                                        \
    VALUE(WEIR_OPTION_TEXT, 0)                                                                                     \
    VALUE(WEIR_OPTION_SECRET, 1)                                                                                   \
    VALUE(WEIR_OPTION_PATH, 2)                                                                                     \
    VALUE(WEIR_OPTION_URL, 3)                                                                                      \
    VALUE(WEIR_OPTION_BOOL, 4)                                                                                     \
    VALUE(WEIR_OPTION_INT, 5)                                                                                      \
    VALUE(WEIR_OPTION_SIZE, 6)                                                                                     \
    VALUE(WEIR_OPTION_DURATION, 7)                                                                                 \
    VALUE(WEIR_OPTION_RATE, 8)                                                                                     \
    VALUE(WEIR_OPTION_CHOICE, 9)                                                                                   \
    VALUE(WEIR_OPTION_RANGE, 10)                                                                                   \
    VALUE(WEIR_OPTION_LIST, 11)                                                                                    \
    VALUE(WEIR_OPTION_TEMPLATE, 12)                                                                                \
    VALUE(WEIR_OPTION_FIELD, 13)                                                                                   \
    VALUE(WEIR_OPTION_GROUP, 14)                                                                                   \
    VALUE(WEIR_OPTION_MAP, 15)                                                                                     \
    VALUE(WEIR_OPTION_REQUIRED, 1)                                                                                 \
    VALUE(WEIR_OPTION_TRUE_OK, 2)                                                                                  \
    VALUE(WEIR_OPTION_IS_PATH, 4)                                                                                  \
    VALUE(WEIR_READABLE, 1)                                                                                        \
    VALUE(WEIR_WRITABLE, 2)                                                                                        \
    VALUE(WEIR_LOG_ERROR, 0)                                                                                       \
    VALUE(WEIR_LOG_WARN, 1)                                                                                        \
    VALUE(WEIR_LOG_INFO, 2)                                                                                        \
    VALUE(WEIR_LOG_DEBUG, 3)                                                                                       \
    VALUE(WEIR_SOURCE_REPLAYS, 1)                                                                                  \
    VALUE(WEIR_SOURCE_KEEPS_POSITION, 2)                                                                           \
    VALUE(WEIR_SOURCE_FROM_ZERO, 4)                                                                                \
    VALUE(WEIR_ACCEPTED, 1)                                                                                        \
    VALUE(WEIR_COMPLETED, 2)                                                                                       \
    VALUE(WEIR_REFUSED, 3)                                                                                         \
    VALUE(WEIR_SINK_ORDERED, 1)                                                                                    \
    VALUE(WEIR_NOTE_MAX, 4096)

#endif
