/* test_power_loss.c: the power goes while a store is written: nothing that was answered is lost.
 *
 * An ext4 image is mounted; a child commits and says what is durable; the file system is shut down without writing
 * anything more (EXT4_IOC_SHUTDOWN), unmounted, mounted again, and its journal replayed. Needs the rights to mount
 * and the tools to make a file system; without them it says that it was skipped. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "store_kit.h"

#define SHUTDOWN _IOR('X', 125, uint32_t)
#define SHUTDOWN_NOW 2u /* not even the file system's journal is written */
#define CUTS 6

static char folder[PATH_MAX], image[PATH_MAX + 16], disk[PATH_MAX + 16], place[PATH_MAX + 32];

static void setup(void)
{
    kit_folder(folder);
    snprintf(image, sizeof image, "%s/image", folder);
    snprintf(disk, sizeof disk, "%s/disk", folder);
    snprintf(place, sizeof place, "%s/store", disk);
}

static void teardown(void)
{
    umount2(disk, MNT_DETACH);
    kit_remove(folder);
}

static bool run(const char *format, const char *a, const char *b)
{
    char command[3 * PATH_MAX];

    snprintf(command, sizeof command, format, a, b);
    return system(command) == 0;
}

static bool disk_mount(void)
{
    return run("mount -t ext4 -o loop '%s' '%s' >/dev/null 2>&1", image, disk);
}

/* In a mount namespace of its own, so that nothing stays mounted whatever happens. */
static bool disk_make(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mkdir(disk, 0700) == 0 &&
           run("truncate -s 64M '%s' && mkfs.ext4 -q -F '%s' >/dev/null 2>&1", image, image) && disk_mount();
}

/* False: this kernel cannot do that. */
static bool power_cut(void)
{
    uint32_t how = SHUTDOWN_NOW;
    int fd = open(disk, O_RDONLY | O_DIRECTORY);
    bool cut;

    ck_assert_int_ge(fd, 0);
    cut = ioctl(fd, SHUTDOWN, &how) == 0;
    close(fd);
    return cut;
}

/* Cuts the power after `wanted` answers; *last is the last number that was answered. */
static bool acks_until_cut(unsigned wanted, unsigned *last)
{
    unsigned number, count = 0;
    bool cut = true;
    int fds[2];
    pid_t pid;

    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        close(fds[0]);
        kit_acks_write(place, fds[1], *last + 1);
        _exit(1);
    }
    close(fds[1]);
    while (read(fds[0], &number, sizeof number) == sizeof number) {
        ck_assert_uint_eq(number, *last + 1);
        *last = number;
        if (++count == wanted) {
            cut = power_cut();
            kill(pid, SIGKILL);
        }
    }
    ck_assert_uint_ge(count, wanted);
    close(fds[0]);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    return cut;
}

START_TEST(test_nothing_acknowledged_is_lost_by_power_cuts)
{
    struct random random;
    unsigned last = 0;

    if (!disk_make()) {
        testing_skip("loop", "a power cut needs the right to mount a file system of its own, and mkfs.ext4");
        return;
    }
    random_init(&random, testing_seed());
    for (int cut = 0; cut < CUTS; cut++) {
        struct store *store;

        if (!acks_until_cut(cut == 0 ? 1 : 1 + (unsigned)random_below(&random, 200), &last)) {
            testing_skip("loop", "this kernel cannot shut a file system down");
            return;
        }
        ck_assert_int_eq(umount2(disk, 0), 0);
        ck_assert(disk_mount());
        store = kit_open(place);
        kit_acks_check(store, last);
        store_close(store);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("power_loss");
    TCase *c = tcase_create("power_loss");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_nothing_acknowledged_is_lost_by_power_cuts);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return testing_run(suite());
}
