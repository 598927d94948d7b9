/* latency.c: one event at a time: publishes at QoS 1, waits for the answer, measures, repeats.
 *
 * usage: latency PORT IN_TOPIC OUT_TOPIC COUNT. With IN_TOPIC equal to OUT_TOPIC it measures the broker's own echo.
 * Prints "p50 US p99 US". */
#include <mosquitto.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct probe {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int subscribed;
    unsigned long answered;
};

static double now_us(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec * 1e6 + (double)at.tv_nsec / 1e3;
}

static void on_subscribe(struct mosquitto *client, void *arg, int mid, int count, const int *granted)
{
    struct probe *probe = arg;
    (void)client, (void)mid, (void)count, (void)granted;
    pthread_mutex_lock(&probe->lock);
    probe->subscribed = 1;
    pthread_cond_signal(&probe->moved);
    pthread_mutex_unlock(&probe->lock);
}

static void on_message(struct mosquitto *client, void *arg, const struct mosquitto_message *message)
{
    struct probe *probe = arg;
    (void)client;
    pthread_mutex_lock(&probe->lock);
    unsigned long number = strtoul(message->payload, NULL, 10);
    if (number > probe->answered)
        probe->answered = number;
    pthread_cond_signal(&probe->moved);
    pthread_mutex_unlock(&probe->lock);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    static struct probe probe = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
    if (argc != 5) {
        fprintf(stderr, "usage: latency PORT IN_TOPIC OUT_TOPIC COUNT\n");
        return 2;
    }
    unsigned long count = strtoul(argv[4], NULL, 10);
    double *times = calloc(count, sizeof *times);
    mosquitto_lib_init();
    struct mosquitto *client = mosquitto_new(NULL, true, &probe);
    mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_subscribe_callback_set(client, on_subscribe);
    mosquitto_message_callback_set(client, on_message);
    if (!times || mosquitto_connect(client, "127.0.0.1", atoi(argv[1]), 60) != 0 ||
        mosquitto_loop_start(client) != 0)
        return 1;
    mosquitto_subscribe(client, NULL, argv[3], 1);
    pthread_mutex_lock(&probe.lock);
    while (!probe.subscribed)
        pthread_cond_wait(&probe.moved, &probe.lock);
    for (unsigned long i = 1; i <= count; i++) {
        char text[32];
        snprintf(text, sizeof text, "%lu ", i);
        double start = now_us();
        mosquitto_publish(client, NULL, argv[2], (int)strlen(text) + 1, text, 1, false);
        while (probe.answered < i)
            pthread_cond_wait(&probe.moved, &probe.lock);
        times[i - 1] = now_us() - start;
    }
    pthread_mutex_unlock(&probe.lock);
    qsort(times, count, sizeof *times, compare);
    printf("p50 %.1f p99 %.1f\n", times[count / 2], times[count * 99 / 100]);
    return 0;
}
