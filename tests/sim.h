/* sim.h: a whole weir made of the route alone, in one process without threads, clock or disk.
 *
 * A world has a disk that survives crashes, sources that replay and one that is journaled, and two routes that take
 * from all of them. One random number decides what happens next; the same seed gives the same life again.
 *
 * sim_world_kit.c makes a world and decides what happens; sim_source_kit.c emits; sim_memory_kit.c takes the memory
 * of blocks away; sim_shell_kit.c carries out what the routes ask for, as the engine does; sim_function_kit.c is
 * the function and its keyed state, sim_sink_kit.c the sinks; sim_disk_kit.c commits, crashes and restarts;
 * sim_promise_kit.c says what must hold, and ends the process when it does not. */
#ifndef WEIR_SIM_H
#define WEIR_SIM_H

#include "feed.h"
#include "list.h"
#include "route.h"

enum {
    SIM_ROUTES = 2,
    SIM_SHARDS_MAX = 5,
    SIM_SINKS = 3,
    SIM_KEYS = 24,
    SIM_ITEMS_MAX = 2048, /* of one shard */
    SIM_LANES_MAX = 8,
    SIM_RANGES_MAX = 256,
    SIM_BLOCK_MAX = 24, /* events */
    SIM_FUNCTION = 1,   /* in marks of dead letters; a sink is SIM_FUNCTION << 1 << sink */
};

/* What was reached, counted over all seeds. */
enum sim_reached {
    SIM_EMIT,
    SIM_EMIT_PARTLY_FINISHED,
    SIM_REPLAY_FUNCTION,
    SIM_REPLAY_SINK,
    SIM_CALL_OK,
    SIM_CALL_FAILED,
    SIM_CALL_EVENTS_FAILED,
    SIM_CALL_FATAL,
    SIM_CALL_SUSPECT,
    SIM_WRITE_OK,
    SIM_WRITE_AGAIN,
    SIM_WRITE_AGAIN_ALL_OF_LANE,
    SIM_WRITE_DELIVERED_UNCONFIRMED,
    SIM_WRITE_REJECTED,
    SIM_WRITE_EVENTS_REJECTED,
    SIM_WRITE_FATAL,
    SIM_WRITES_OF_ONE_LANE,
    SIM_FLUSH,
    SIM_TICK_EARLY,
    SIM_REVOKE,
    SIM_REVOKE_LOST,
    SIM_REVOKE_THEN_LOST,
    SIM_CRASH,
    SIM_CRASH_IN_CALL,
    SIM_CRASH_IN_COMMIT,
    SIM_COMMIT_DONE_UNTOLD,
    SIM_STOP,
    SIM_STOP_DEADLINE,
    SIM_LANES_CHANGED,
    SIM_ORDER_CHANGED,
    SIM_RANGES_STORED,
    SIM_WINDOW_FULL,
    SIM_TRIM,
    SIM_DEAD_FUNCTION,
    SIM_DEAD_SINK,
    SIM_DEAD_AGAIN,
    SIM_DUPLICATE,
    SIM_MOVE,
    SIM_MOVE_KEPT,
    SIM_MOVE_HELD,
    SIM_REACHED_COUNT
};

struct item {
    uint64_t position;
    char key[8];
    uint8_t key_size; /* 0: no key */
    uint8_t key_number;
    uint16_t size;
    uint32_t index;
    bool unwanted[SIM_ROUTES];
    int poison[SIM_ROUTES]; /* calls that fail because of it; -1: all */
    uint32_t sinks[SIM_ROUTES];
};

/* Keyed state of one key: what was applied, in any order, and the last of those that came in order. */
struct value {
    uint64_t count, sum, last;
};

/* What a commit makes durable. */
enum effect_type { EFFECT_STATE, EFFECT_DEAD, EFFECT_UNDEAD };
struct effect {
    enum effect_type type;
    const struct item *item;
    uint32_t marks;
    bool replay;
};
struct effects {
    struct effect *items;
    size_t count, room;
};

struct checkpoint {
    uint32_t lanes; /* 0: none */
    uint64_t positions[SIM_LANES_MAX];
    uint64_t ranges[SIM_RANGES_MAX][2];
    size_t range_count;
};

/* One route's sight of one shard. */
struct sim_view {
    struct sim_route *route;
    struct sim_shard *shard;
    /* On disk, or at the peers. */
    struct checkpoint disk;
    uint64_t offset; /* told to the log, where positions are not kept on the disk */
    uint32_t dead[SIM_ITEMS_MAX];
    uint8_t attempts[SIM_ITEMS_MAX];
    uint8_t alone[SIM_ITEMS_MAX]; /* a crash met it as a suspect */
    struct value state[SIM_KEYS];
    uint32_t delivered[SIM_ITEMS_MAX], ever_dead[SIM_ITEMS_MAX];
    uint64_t newest[SIM_SINKS][SIM_KEYS]; /* first deliveries, in order */
    /* Of this opening. */
    struct route_shard *handle; /* NULL: not open */
    bool durable, lost;
    struct checkpoint opened; /* what was finished then */
    uint64_t settled, emitted;
    uint8_t done[SIM_ITEMS_MAX], open_attempts[SIM_ITEMS_MAX], fails[SIM_ITEMS_MAX];
    int64_t again_at[SIM_ITEMS_MAX];
    uint32_t dead_asked[SIM_ITEMS_MAX], replaying[SIM_ITEMS_MAX];
    uint8_t again[SIM_ITEMS_MAX];    /* a batch that failed comes again: how many events it may have */
    uint32_t arrived[SIM_ITEMS_MAX]; /* at sinks, since the opening */
    size_t tickets;                  /* asked for and not answered */
    struct value now[SIM_KEYS];
    bool failing[SIM_LANES_MAX][SIM_SINKS]; /* a sink that keeps order fails what follows */
    struct effects effects;                 /* since the last commit was asked for */
};

struct sim_shard {
    struct sim_world *world;
    size_t index;
    bool journaled;
    struct item *items;
    size_t count;   /* that exist: in the log, or in the journal as the disk has it */
    uint32_t *at;   /* position -> index + 1 */
    size_t next;    /* log: the next one to emit; it is the same for all routes */
    size_t pending; /* journal: appended behind `count`, not durable */
    struct feed feed;
    uint64_t trimmed, trim_to; /* journal: on the disk; asked for */
    size_t messages, accepted; /* journal: what the peer has, what it was told is accepted */
    bool revoking, lost;
    struct sim_view views[SIM_ROUTES];
};

struct sim_ticket {
    struct list node;
    struct sim_view *view;
    uint64_t number, low;
    struct checkpoint checkpoint;
    struct effects effects;
};

/* What the shell keeps for a batch. */
struct work {
    struct sim_view *view;
    struct list node; /* in the route's works */
    struct route_batch *batch;
    uint32_t keys;             /* a bit for each */
    bool called, calling, ok;  /* a call was made; is out; came back and did not fail as a whole */
    uint8_t *failed;           /* [count]: this input failed */
    uint8_t *dead;             /* [count]: but is a dead letter */
    uint32_t *outputs;         /* [count]: sinks for which there is an output */
    uint32_t *finished;        /* [count]: sinks that confirmed it, or for which it is dead */
    uint32_t *died;            /* [count]: marks of dead letters that were made */
    uint32_t tries[SIM_SINKS]; /* writes that failed, and not because one before it did */
    size_t count;
    bool wrote;
    weir_event *kept; /* its inputs, when it let go of the blocks they came in */
};

struct job {
    struct route_batch *batch;
    uint32_t sink; /* SIM_SINKS: a call */
};

struct sim_route {
    struct sim_world *world;
    size_t index;
    struct route *route;
    struct route_config config;
    bool stateful, calls, kept, ever_unordered; /* kept: positions are on the disk */
    struct list works;
    bool failed, finished;
    int64_t armed;
    size_t want_events, want_bytes;
};

struct sim_block {
    struct block block;
    struct sim_world *world;
    struct list node;
    weir_event *moved; /* where its open events are now; NULL: in `events` */
    weir_event events[SIM_BLOCK_MAX];
};

struct sim_world {
    uint64_t seed;
    struct random random;
    bool trace;
    int64_t now;
    struct sim_route routes[SIM_ROUTES];
    struct sim_shard shards[SIM_SHARDS_MAX];
    size_t shard_count;
    struct job *jobs; /* calls and writes that are out, in the order in which they were asked for */
    size_t job_count, job_room;
    struct list gathering, committing;
    bool in_commit;
    size_t commit_pending; /* journal items in the commit under way */
    uint64_t commit_trim;
    struct list block_list;
    size_t blocks; /* alive */
    size_t steps, faults, crashes, epoch;
    size_t events;    /* given to routes, counted once for each shard */
    size_t epoch_end; /* at so many events */
    size_t faulty_epochs;
    bool calm; /* the last epochs: whatever can be completed is */
    bool late; /* the deadline of the stop has passed */
    unsigned mood_fail, mood_sink;
    unsigned weights[8]; /* how likely each kind of step is */
    uint64_t reached[SIM_REACHED_COUNT];
    uint64_t actions[ROUTE_FINISHED + 1];
};

/* sim_world_kit.c */
uint64_t sim_below(struct sim_world *world, uint64_t bound);
bool sim_chance(struct sim_world *world, unsigned of_1000);
void sim_reach(struct sim_world *world, enum sim_reached what);
const char *sim_reached_name(enum sim_reached what);
struct sim_world *sim_world_new(uint64_t seed, bool trace);
void sim_world_run(struct sim_world *world); /* to its end; a broken promise ends the process */
void sim_world_free(struct sim_world *world);
struct item *sim_item(struct sim_shard *shard, uint64_t position); /* NULL: no event has it */

/* sim_source_kit.c */
void sim_items_make(struct sim_shard *shard, size_t count);
bool sim_emit(struct sim_world *world);    /* false: nothing to emit, or no room */
bool sim_append(struct sim_world *world);  /* the peer sends; false: it has nothing more, or must wait */
bool sim_replay(struct sim_world *world);  /* one dead letter, if there is any */
bool sim_drained(struct sim_world *world); /* everything was emitted */

/* sim_memory_kit.c */
struct sim_block *sim_block_make(struct sim_world *world);
bool sim_move(struct sim_world *world); /* gives one block's memory back, if that may be; false: there is none */

/* sim_shell_kit.c */
void sim_step(struct sim_route *route, const struct route_input *input);
void sim_jobs_forget(struct sim_world *world); /* as a crash does */
const struct item *sim_input(const struct route_batch *batch, size_t i);
uint32_t sim_replayed(const struct route_batch *batch); /* the mark of its dead letter; 0: no replay */
struct work *sim_work(struct route_batch *batch);
void sim_work_free(struct route_batch *batch);
void sim_effect(struct sim_view *view, struct effect effect);

/* sim_function_kit.c */
void sim_called(struct sim_world *world, struct route_batch *batch);
void sim_keep_state(struct sim_view *view, const struct item *item, bool replay);

/* sim_sink_kit.c */
void sim_written(struct sim_world *world, size_t job);
void sim_sinks_crash(struct sim_world *world); /* what was out may have arrived */
void sim_writes_dead(struct route_batch *batch, const struct route_action *action);

/* sim_disk_kit.c */
void sim_commit_ask(struct sim_view *view, const struct route_action *action);
void sim_commit_begin(struct sim_world *world);
void sim_commit_end(struct sim_world *world);
void sim_crash(struct sim_world *world);
void sim_start(struct sim_world *world); /* routes anew, shards as the disk has them */
void sim_end(struct sim_world *world);   /* the routes go */
void sim_shard_open(struct sim_shard *shard);
void sim_effects_free(struct effects *effects);

/* sim_promise_kit.c */
void sim_broken(struct sim_world *world, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
bool sim_covers(const struct checkpoint *checkpoint, const struct item *item);
void sim_check_call(struct sim_view *view, const struct route_batch *batch);
void sim_check_write(struct sim_view *view, const struct route_batch *batch, uint32_t sink);
void sim_check_dead(struct sim_view *view, const struct route_batch *batch, const struct route_action *action);
void sim_check_commit(struct sim_view *view, const struct checkpoint *checkpoint, uint64_t low);
void sim_check_settle(struct sim_view *view, uint64_t low);
void sim_check_trim(struct sim_shard *shard, uint64_t to);
void sim_check_action(struct sim_route *route, const struct route_action *action);
void sim_check_bounds(struct sim_route *route);
void sim_check_again(struct sim_world *world); /* before a crash or a stop ends the routes: what would run again */
void sim_check_delivery(struct sim_view *view, const struct item *item, uint32_t sink, bool replay);
void sim_check_end(struct sim_world *world);

#endif
