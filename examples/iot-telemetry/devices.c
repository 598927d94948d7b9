/* links: libmosquitto */
/* devices.c: simulated devices: publish readings at QoS 1 over one connection, and account for every one.
 *
 * usage: devices PORT DEVICES RATE SECONDS POISON_EVERY LOG [COUNT]
 * RATE readings a second in all (0: as fast as the broker takes them), every POISON_EVERY-th is nonsense (0: none).
 * LOG gets a line "d0042 17 ok|poison" for each reading whose PUBACK came. COUNT ends it earlier. Prints "published
 * N poison M" at the end. */
#include <limits.h>
#include <mosquitto.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct reading {
    unsigned device, seq;
    int poison;
};

struct load {
    unsigned devices, poison_every;
    unsigned long count;
    double rate, seconds;
};

struct fleet {
    struct mosquitto *client;
    pthread_mutex_t lock;
    pthread_cond_t moved;
    struct reading pending[65536]; /* by message id */
    unsigned open;
    unsigned long published, poison;
    FILE *log;
};

static void on_publish(struct mosquitto *client, void *arg, int mid)
{
    struct fleet *fleet = arg;
    (void)client;
    pthread_mutex_lock(&fleet->lock);
    const struct reading *reading = &fleet->pending[mid & 0xffff];
    fprintf(fleet->log, "d%04u %u %s\n", reading->device, reading->seq, reading->poison ? "poison" : "ok");
    fleet->published++;
    fleet->poison += (unsigned long)reading->poison;
    fleet->open--;
    pthread_cond_signal(&fleet->moved);
    pthread_mutex_unlock(&fleet->lock);
}

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void publish(struct fleet *fleet, struct reading reading)
{
    char topic[64], payload[128];
    snprintf(topic, sizeof topic, "devices/d%04u/reading", reading.device);
    double value =
        20 + (double)(reading.device % 7) + 12.0 * ((reading.seq / 25) % 2) + (double)(reading.seq % 10) / 10;
    if (reading.poison)
        snprintf(payload, sizeof payload, "{\"device\":\"d%04u\",\"seq\":%u,\"valu", reading.device, reading.seq);
    else
        snprintf(payload, sizeof payload, "{\"device\":\"d%04u\",\"seq\":%u,\"value\":%.1f}", reading.device,
                 reading.seq, value);
    int mid;
    pthread_mutex_lock(&fleet->lock);
    while (fleet->open >= 1000)
        pthread_cond_wait(&fleet->moved, &fleet->lock);
    int result = mosquitto_publish(fleet->client, &mid, topic, (int)strlen(payload), payload, 1, 0);
    if (result == MOSQ_ERR_SUCCESS || result == MOSQ_ERR_NO_CONN) { /* without a connection it is sent later */
        fleet->pending[mid & 0xffff] = reading;
        fleet->open++;
    }
    pthread_mutex_unlock(&fleet->lock);
}

static void run(struct fleet *fleet, const struct load *load)
{
    double start = now();
    unsigned *seqs = calloc(load->devices, sizeof *seqs);
    for (unsigned long n = 0; seqs && n < load->count && now() - start < load->seconds; n++) {
        unsigned device = (unsigned)(n * 7919 % load->devices);
        bool poison = load->poison_every && n % load->poison_every == load->poison_every - 1;
        publish(fleet, (struct reading){device, ++seqs[device], poison});
        double ahead = load->rate > 0 ? start + (double)(n + 1) / load->rate - now() : 0;
        if (ahead > 0.001)
            usleep((useconds_t)(ahead * 1e6));
    }
    free(seqs);
}

int main(int argc, char **argv)
{
    if (argc != 7 && argc != 8) {
        fprintf(stderr, "usage: devices PORT DEVICES RATE SECONDS POISON_EVERY LOG [COUNT]\n");
        return 2;
    }
    static struct fleet fleet;
    pthread_mutex_init(&fleet.lock, NULL);
    pthread_cond_init(&fleet.moved, NULL);
    fleet.log = fopen(argv[6], "w");
    mosquitto_lib_init();
    fleet.client = mosquitto_new(NULL, true, &fleet);
    if (!fleet.log || !fleet.client)
        return 1;
    mosquitto_publish_callback_set(fleet.client, on_publish);
    mosquitto_int_option(fleet.client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_max_inflight_messages_set(fleet.client, 1000);
    if (mosquitto_connect(fleet.client, "127.0.0.1", atoi(argv[1]), 60) != MOSQ_ERR_SUCCESS ||
        mosquitto_loop_start(fleet.client) != MOSQ_ERR_SUCCESS) {
        fprintf(stderr, "devices: no broker at 127.0.0.1:%s\n", argv[1]);
        return 1;
    }
    struct load load = {.devices = (unsigned)atoi(argv[2]),
                        .rate = atof(argv[3]),
                        .seconds = atof(argv[4]),
                        .poison_every = (unsigned)atoi(argv[5]),
                        .count = argc == 8 ? strtoul(argv[7], NULL, 10) : ULONG_MAX};
    run(&fleet, &load);
    pthread_mutex_lock(&fleet.lock);
    while (fleet.open)
        pthread_cond_wait(&fleet.moved, &fleet.lock);
    pthread_mutex_unlock(&fleet.lock);
    mosquitto_disconnect(fleet.client);
    mosquitto_loop_stop(fleet.client, false);
    fclose(fleet.log);
    printf("published %lu poison %lu\n", fleet.published, fleet.poison);
    return 0;
}
