/* consumer.h: one Kafka consumer of weir, in parts: what it reads (read.c), which partitions it has (rebalance.c,
 * resolve.c), and what it tells the group (commit.c). All on the loop thread, but for the jobs of resolve.c and the
 * release of a block. */
#ifndef WEIR_KAFKA_CONSUMER_H
#define WEIR_KAFKA_CONSUMER_H

#include "settings.h"
#include "words.h"

enum { START_EARLIEST, START_LATEST, START_TIME };
enum { RANGE_STOP, RANGE_EARLIEST, RANGE_LATEST };
enum { UNTIL_NONE, UNTIL_END };
enum { ASSIGN_COOPERATIVE, ASSIGN_RANGE, ASSIGN_ROUNDROBIN };
enum { HELD_MAX = 1000, HELD_ROOM = HELD_MAX + 256 };

/* Emitted together; when the group has the last position, none of them can come again. */
struct mark {
    uint64_t position;
    size_t count;
};

/* A position is the offset that follows: that of the record itself and one more. */
struct partition {
    struct partition *next;
    char *topic, *name; /* name: topic/number, of the shard */
    int32_t number;
    weir_shard *shard; /* NULL: not opened, or released */
    bool revoked, stopped, at_end, asked;
    bool silent; /* no message came yet */
    uint64_t emitted, settled;
    uint64_t stored, committed; /* in the library; by the group */
    struct mark *marks;         /* ring */
    size_t mark_first, mark_count, mark_room;
};

/* Where one partition of an assignment begins, found out on a helper thread. */
struct place {
    int64_t kept; /* the group's offset; -1: none */
    int64_t begin;
};

/* What the library asked us to do with partitions, and has to be answered. */
struct step {
    struct step *next;
    bool revoke, started, resolved, lost;
    int64_t deadline_us;
    rd_kafka_topic_partition_list_t *list;
    struct place *places; /* [list->cnt], of an assignment */
};

/* What was known of a topic when we came: only for `start: latest`. */
struct topic_known {
    struct topic_known *next;
    int32_t partitions;
    bool committed; /* the group had been there before */
    char name[];
};

struct source {
    struct settings settings; /* first: see settings.h */
    weir_list topics;
    const char *group, *start_text, *instance_id;
    int64_t isolation, assignment, until, drain_us, out_of_range;

    const weir_host *host;
    rd_kafka_conf_t *conf;
    rd_kafka_t *client;
    rd_kafka_queue_t *control, *fetched; /* rebalances and results of commits; messages of all partitions */
    int64_t start, start_ms;
    int wake_fd;
    weir_timer *tick;
    int64_t tick_at_us, lag_at_us;

    size_t want_events, want_bytes, window;
    rd_kafka_message_t *held[HELD_ROOM]; /* taken and not emitted: beyond the credit */
    size_t held_first, held_count;
    size_t blocks; /* lent; changed on any thread */

    struct partition *partitions, *gone, *last_found;
    size_t assigned;
    uint64_t generation;
    struct step *steps;
    struct topic_known *known;
    bool job, subscribed, given, assigned_once, ended, failed;

    size_t poke_bytes, taken_bytes; /* poke_bytes 0: the library does not need it */
    int64_t poked_at_us;
    bool poking;

    bool peer_decides;
    size_t uncommitted;     /* events emitted, and not known to the group as completed */
    uint64_t settled_since; /* positions, since offsets were stored */
    rd_kafka_resp_err_t commit_told;

    rd_kafka_resp_err_t told; /* the last error of a connection in the log */
    int64_t told_at_us;
    bool stopping, closing, closed;
};

/* kafka.c */
void source_tick_at(struct source *source, int64_t delay_us); /* at the latest then */
void source_advance(struct source *source);                   /* whatever can be done now */
void source_fail(struct source *source, const char *reason);
void source_tell(struct source *source, rd_kafka_resp_err_t code, const char *detail);

/* options.c */
extern const weir_option consumer_options[];
int consumer_conf(struct source *source); /* WEIR_OK, WEIR_INVALID (refused by host), WEIR_NOMEM */

/* leave.c */
void leave_begin(struct source *source);   /* answers by host->stopped */
void leave_destroy(struct source *source); /* every message is back */

/* partition.c */
struct partition *partition_new(struct source *source, const char *topic, int32_t number); /* NULL: no memory */
struct partition *partition_find(struct source *source, const char *topic, int32_t number);
struct partition *partition_of_shard(struct source *source, const weir_shard *shard);
void partition_leave(struct source *source, struct partition *partition); /* freed when its shard is released */
void partition_released(struct source *source, struct partition *partition);
bool partition_room(struct partition *partition); /* for one more mark */
void partition_emitted(struct source *source, struct partition *partition, uint64_t last, size_t count);
void partition_confirmed(struct source *source, struct partition *partition, uint64_t position);
/* It must not be read on; the others go on. */
void partition_stop(struct source *source, struct partition *partition);
void partitions_free(struct source *source);
void partitions_lag(struct source *source);
bool partitions_ended(const struct source *source);

/* read.c */
void read_messages(struct source *source);
void read_control(struct source *source);
void read_forget(struct source *source, const struct partition *partition); /* what is held of it */
void read_free(struct source *source);

/* rebalance.c */
void rebalance_called(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                      void *opaque);
void rebalance_advance(struct source *source);
/* Leads the queues of those from which nothing came yet: the library forgets it when it stops a partition. */
void rebalance_lead(struct source *source);
void rebalance_free(struct source *source);
/* Fetches a partition anew from there: after an error the library does not seek. */
void rebalance_again(struct source *source, struct partition *partition, int64_t offset);

/* resolve.c */
void resolve_start(struct source *source, struct step *step); /* sets step->resolved when it is done */
void resolve_survey(struct source *source);                   /* before the subscription; then subscribes */
void resolve_range(struct source *source, struct partition *partition); /* its position is out of range */
void resolve_free(struct source *source);
int source_subscribe(struct source *source);

/* poke.c */
void poke_taken(struct source *source, size_t bytes); /* from the queue */
void poke_empty(struct source *source);               /* it gave nothing, and there is room */

/* commit.c */
void commit_settled(struct source *source, struct partition *partition, uint64_t first, uint64_t last);
void commit_store(struct source *source);
bool commit_dirty(const struct source *source);
void commit_answered(rd_kafka_t *client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t *list,
                     void *opaque);

#endif
