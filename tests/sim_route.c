/* sim_route.c: lives many lives of the route, see sim.h, and says what they reached.
 *
 *     sim_route [--seeds N] [--first N] [--jobs N] [--seed N [--trace]]
 *
 * Each seed has at least 1,000 events, 3 shards, 5 faults and a crash. A broken promise is told with its seed, and
 * the exit code is 1; so it is when a run of a thousand seeds or more did not reach everything there is. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"

enum { SEEDS = 300, SEEDS_REACH_ALL = 1000, JOBS_MAX = 64 };

struct totals {
    uint64_t seeds, events, faults, crashes, steps;
    uint64_t reached[SIM_REACHED_COUNT];
    uint64_t actions[ROUTE_FINISHED + 1];
};

struct options {
    uint64_t seeds, first, jobs;
    bool trace;
};

static void totals_add(struct totals *totals, const struct totals *more)
{
    totals->seeds += more->seeds;
    totals->events += more->events;
    totals->faults += more->faults;
    totals->crashes += more->crashes;
    totals->steps += more->steps;
    for (size_t i = 0; i < SIM_REACHED_COUNT; i++)
        totals->reached[i] += more->reached[i];
    for (size_t i = 0; i <= ROUTE_FINISHED; i++)
        totals->actions[i] += more->actions[i];
}

static void live(uint64_t seed, bool trace, struct totals *totals)
{
    struct sim_world *world = sim_world_new(seed, trace);
    sim_world_run(world);
    struct totals one = {1, world->events, world->faults, world->crashes, world->steps, {0}, {0}};
    memcpy(one.reached, world->reached, sizeof one.reached);
    memcpy(one.actions, world->actions, sizeof one.actions);
    totals_add(totals, &one);
    sim_world_free(world);
}

/* Returns how many of what there is was never reached. */
static size_t totals_print(const struct totals *totals)
{
    size_t missing = 0;
    printf("%llu seeds: %llu events, %llu faults, %llu crashes, %llu steps; no promise broken\nactions:",
           (unsigned long long)totals->seeds, (unsigned long long)totals->events,
           (unsigned long long)totals->faults, (unsigned long long)totals->crashes,
           (unsigned long long)totals->steps);
    for (size_t i = 0; i <= ROUTE_FINISHED; i++) {
        printf(" %s %llu", route_action_name((enum route_action_type)i), (unsigned long long)totals->actions[i]);
        missing += totals->actions[i] == 0;
    }
    printf("\nreached:\n");
    for (size_t i = 0; i < SIM_REACHED_COUNT; i++) {
        printf("  %-32s %llu%s\n", sim_reached_name((enum sim_reached)i), (unsigned long long)totals->reached[i],
               totals->reached[i] ? "" : "   NEVER");
        missing += totals->reached[i] == 0;
    }
    return missing;
}

static uint64_t number(const char *text)
{
    char *end;
    uint64_t value = text ? strtoull(text, &end, 10) : 0;
    if (!text || end == text || *end) {
        fprintf(stderr, "usage: sim_route [--seeds N] [--first N] [--jobs N] [--seed N [--trace]]\n");
        exit(2);
    }
    return value;
}

static struct options options_read(char **words)
{
    struct options options = {.seeds = SEEDS, .first = 1, .jobs = 2};
    for (; *words; words++) {
        if (!strcmp(*words, "--trace")) {
            options.trace = true;
        } else if (!strcmp(*words, "--seeds")) {
            options.seeds = number(*++words);
        } else if (!strcmp(*words, "--first")) {
            options.first = number(*++words);
        } else if (!strcmp(*words, "--jobs")) {
            options.jobs = number(*++words);
        } else if (!strcmp(*words, "--seed")) {
            options.first = number(*++words);
            options.seeds = options.jobs = 1;
        } else {
            number(NULL);
        }
    }
    options.jobs = options.jobs < 1 ? 1 : options.jobs > JOBS_MAX ? JOBS_MAX : options.jobs;
    return options;
}

static pid_t job_start(const struct options *options, uint64_t job, struct totals *totals)
{
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child)
        return child;
    for (uint64_t i = job; i < options->seeds; i += options->jobs)
        live(options->first + i, options->trace, totals);
    exit(0);
}

int main(int count, char **words)
{
    (void)count;
    struct options options = options_read(words + 1);
    struct totals *jobs =
        mmap(NULL, options.jobs * sizeof *jobs, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct totals totals = {0};
    bool broken = false;
    CHECK(jobs != MAP_FAILED);
    for (uint64_t i = 0; i < options.jobs; i++)
        job_start(&options, i, &jobs[i]);
    for (uint64_t i = 0; i < options.jobs; i++) {
        int status;
        CHECK(wait(&status) > 0);
        broken |= status != 0;
    }
    for (uint64_t i = 0; i < options.jobs; i++)
        totals_add(&totals, &jobs[i]);
    CHECK(broken || totals.seeds == options.seeds);
    munmap(jobs, options.jobs * sizeof *jobs);
    if (broken)
        return 1;
    size_t missing = totals_print(&totals);
    if (missing && options.seeds >= SEEDS_REACH_ALL) {
        printf("%zu were never reached\n", missing);
        return 1;
    }
    return 0;
}
