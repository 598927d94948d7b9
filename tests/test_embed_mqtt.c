/* test_embed_mqtt.c: a failed commit under the mqtt module, in a process that goes on: what was not committed is
 * not acknowledged, neither when the run ends nor when the weir is freed. */
#undef _FORTIFY_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mqtt_kit.h"
#include "weir_embed.h"

enum { PUBACK = 4, SUBSCRIBE = 8, DISCONNECT = 14 };

static atomic_bool broken_disk;
__attribute__((visibility("default"))) int fdatasync(int fd);

int fdatasync(int fd)
{
    if (!atomic_load(&broken_disk))
        return (int)syscall(SYS_fdatasync, fd);
    errno = EIO;
    return -1;
}

struct host {
    struct wire *wire;
    weir *w;
    int ended, result;
};

static void has_ended(void *arg, weir_result result)
{
    struct host *host = arg;
    host->ended = 1;
    host->result = (int)result;
}

static void weir_begin(struct host *host)
{
    static const char *const yaml = "store: { path: %s/store }\n"
                                    "sources: { in: { type: mqtt, url: \"mqtt://127.0.0.1:%d\", topics: a/# } }\n"
                                    "sinks: { out: { type: drop } }\n"
                                    "routes: [ { from: in, to: out } ]\n";
    weir_settings settings = {.size = sizeof settings,
                              .modules = testing_module_dir(),
                              .loop = kit_loop(),
                              .ended = has_ended,
                              .arg = host};
    char text[1024];
    host->w = weir_new(&settings);
    snprintf(text, sizeof text, yaml, testing_folder(), host->wire->port);
    weir_text(host->w, text);
    ck_assert_msg(weir_start(host->w) == WEIR_OK, "%s", weir_error(host->w));
}

static void tick(uv_timer_t *timer)
{
    ++*(int *)timer->data;
}

/* Turns the loop that the listener and weir are on until *value is `wanted`, 10 s at most. */
static void turn_until(const size_t *value, size_t wanted)
{
    uv_timer_t timer;
    int ticks = 0;
    uv_timer_init(kit_loop(), &timer);
    timer.data = &ticks;
    uv_timer_start(&timer, tick, 100, 100);
    while (*value != wanted && ticks < 100 * testing_slow())
        uv_run(kit_loop(), UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(kit_loop(), UV_RUN_NOWAIT);
    ck_assert_uint_eq(*value, wanted);
}

START_TEST(test_failed_commit_acknowledges_nothing)
{
    struct host host = {.wire = wire_new(0)};
    weir_begin(&host);
    turn_until(&host.wire->packets[SUBSCRIBE], 1);
    wire_publish(host.wire, "a/b", "kept", 1);
    turn_until(&host.wire->packets[PUBACK], 1);
    broken_disk = true;
    for (int i = 0; i < 10; i++)
        wire_publish(host.wire, "a/b", "not kept", 1);
    while (!host.ended)
        uv_run(kit_loop(), UV_RUN_ONCE);
    ck_assert_int_eq(host.result, WEIR_IO);
    ck_assert_int_eq(weir_exit_code(host.w), 5);
    weir_free(host.w);
    turn_until(&host.wire->open, 0); /* all it sent has been counted */
    ck_assert_uint_eq(host.wire->packets[PUBACK], 1);
    ck_assert_uint_eq(host.wire->packets[DISCONNECT], 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("embed_mqtt");
    TCase *c = tcase_create("embed_mqtt");
    tcase_add_test(c, test_failed_commit_acknowledges_nothing);
    suite_add_tcase(s, c);
    return testing_run(s);
}
