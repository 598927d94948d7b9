/* testing.c: the harness. testing_run makes what all tests share, lets libcheck fork a process for each, and
 * reports. A test that passed ends by exit, which removes its folders; one that failed ends by _exit or by a
 * signal, so its folders stay, and the parent tells where. Commands are in testing_command.c. */
#include "testing.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WAIT_STEP_MS 2

static struct {
    uint64_t seed;
    bool seeded, failed;
    pid_t top_owner, owner;
    char top[PATH_MAX - 64];    /* holds one folder for each process that asked */
    char folder[PATH_MAX - 32]; /* of this process, `owner` */
    struct name {
        struct name *next;
        char text[PATH_MAX];
    } * names; /* of the folders given out */
    unsigned folders;
} testing;

double testing_slow(void)
{
    const char *text = getenv("WEIR_TEST_SLOW");
    double factor = text ? strtod(text, NULL) : 1;
    return factor >= 1 ? factor : 1;
}

/* libcheck reads its limits while suites are made, which is before testing_run. */
__attribute__((constructor)) static void limits_set(void)
{
    char factor[32];
    snprintf(factor, sizeof factor, "%g", testing_slow());
    setenv("CK_DEFAULT_TIMEOUT", "60", 0);
    setenv("CK_TIMEOUT_MULTIPLIER", factor, 0);
}

static void give_up(const char *what)
{
    fprintf(stderr, "testing: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

/* No assertion here: those count only while a test runs. */
uint64_t testing_seed(void)
{
    const char *given = getenv("WEIR_TEST_SEED");
    if (!testing.seeded && given)
        testing.seed = strtoull(given, NULL, 0);
    else if (!testing.seeded && getrandom(&testing.seed, sizeof testing.seed, 0) != sizeof testing.seed)
        give_up("getrandom");
    testing.seeded = true;
    return testing.seed;
}

static void top_make(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(testing.top, sizeof testing.top, "%s/weir-test-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(testing.top))
        give_up(testing.top);
    testing.top_owner = getpid();
}

int testing_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);

    testing_seed();
    top_make();
    srunner_run_all(runner, CK_NORMAL);
    testing.failed = srunner_ntests_failed(runner) > 0;
    srunner_free(runner);
    if (testing.failed)
        printf("WEIR_TEST_SEED=%llu runs it again with the same numbers\n", (unsigned long long)testing.seed);
    if (rmdir(testing.top) != 0 && testing.failed)
        printf("the folders of what failed are kept in %s\n", testing.top);
    return testing.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static bool component_required(const char *component)
{
    const char *list = getenv("WEIR_TEST_REQUIRE");
    size_t size = strlen(component);

    while (list && *list) {
        size_t length = strcspn(list, ",");
        if ((length == size && memcmp(list, component, size) == 0) || (length == 3 && memcmp(list, "all", 3) == 0))
            return true;
        list += length + (list[length] == ',');
    }
    return false;
}

/* run-tests counts the lines of the file. */
void testing_skip(const char *component, const char *reason)
{
    const char *file = getenv("WEIR_TEST_SKIPS");
    FILE *to;

    if (component_required(component))
        ck_abort_msg("%s is required and not here: %s", component, reason);
    to = file ? fopen(file, "a") : stderr;
    ck_assert_msg(to != NULL, "%s: %s", file, strerror(errno));
    fprintf(to, "SKIP %s: %s\n", component, reason);
    if (to != stderr)
        fclose(to);
}

static int path_remove(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status, (void)type, (void)place;
    return remove(path);
}

/* Runs at exit, in every process: one that a test forked owns nothing here. */
static void folders_remove(void)
{
    if (testing.owner != getpid() || testing.failed)
        return;
    nftw(testing.folder, path_remove, 16, FTW_DEPTH | FTW_PHYS);
    if (testing.top_owner == getpid())
        rmdir(testing.top);
}

static void folders_begin(void)
{
    if (testing.top_owner == 0)
        top_make();
    snprintf(testing.folder, sizeof testing.folder, "%s/%d", testing.top, (int)getpid());
    ck_assert_msg(mkdir(testing.folder, 0700) == 0, "%s: %s", testing.folder, strerror(errno));
    testing.owner = getpid();
    atexit(folders_remove);
}

const char *testing_folder(void)
{
    struct name *name = malloc(sizeof *name);

    ck_assert_ptr_nonnull(name);
    if (testing.owner != getpid())
        folders_begin();
    snprintf(name->text, sizeof name->text, "%s/%u", testing.folder, testing.folders++);
    name->next = testing.names;
    testing.names = name;
    ck_assert_msg(mkdir(name->text, 0700) == 0, "%s: %s", name->text, strerror(errno));
    return name->text;
}

const char *testing_path(const char *folder, const char *name)
{
    static char buffers[8][PATH_MAX];
    static unsigned next;
    char *buffer = buffers[next++ % 8];
    ck_assert_int_lt(snprintf(buffer, PATH_MAX, "%s/%s", folder, name), PATH_MAX);
    return buffer;
}

void testing_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_msg(file != NULL, "%s: %s", path, strerror(errno));
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fclose(file), 0);
}

char *testing_read(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;

    if (!file)
        return NULL;
    if (getdelim(&text, &room, EOF, file) < 0)
        text[0] = '\0';
    ck_assert_msg(!ferror(file), "%s: %s", path, strerror(errno));
    fclose(file);
    return text;
}

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool testing_wait(bool (*condition)(void *arg), void *arg, int timeout_ms)
{
    int64_t end = clock_ms() + (int64_t)(timeout_ms * testing_slow());
    while (!condition(arg)) {
        if (clock_ms() > end)
            return false;
        poll(NULL, 0, WAIT_STEP_MS);
    }
    return true;
}

const char *testing_build(void)
{
    static char self[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

    ck_assert_msg(size > 0, "/proc/self/exe: %s", strerror(errno));
    self[size] = '\0';
    for (int up = 0; up < 2; up++) /* from build/tests/test_x */
        *strrchr(self, '/') = '\0';
    return self;
}

const char *testing_binary(void)
{
    return testing_path(testing_build(), "weir");
}

const char *testing_module_dir(void)
{
    return testing_path(testing_build(), "lib/weir");
}

const char *testing_module(const char *name)
{
    char file[200];
    snprintf(file, sizeof file, "tests/modules/%s.so", name);
    return testing_path(testing_build(), file);
}
