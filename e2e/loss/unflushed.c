/* What a power failure leaves: only what was flushed. Loaded into the server (LD_PRELOAD), where it takes the place of the
 * two calls that flush. What a flush would put on stable storage is copied, by inode, into the folder LOSS_DURABLE, which
 * afterwards holds all that may be relied on: `f-INODE` a file's bytes, `d-INODE` a folder's names. Writes themselves are
 * not looked at, so none can be missed.
 *
 * LOSS_FORGETS is a part of a path: flushes of what has it are forgotten, as if the call were not in the program. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

static int keep(const char *path, int flags) {
    int to = open(path, flags | O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    /* Whoever the server is by then may write it again. */
    if (to >= 0) fchmod(to, 0666);
    return to;
}

/* In place, as a disk does: a crash in the middle leaves old bytes or new ones. */
static int keep_file(int fd, const char *path, off_t size) {
    char from_path[64], piece[1 << 16];
    snprintf(from_path, sizeof from_path, "/proc/self/fd/%d", fd);
    int from = open(from_path, O_RDONLY | O_CLOEXEC), to = keep(path, 0);
    if (from < 0 || to < 0) return -1;
    ssize_t bytes;
    off_t at = 0;
    while ((bytes = pread(from, piece, sizeof piece, at)) > 0) {
        if (pwrite(to, piece, bytes, at) != bytes) return -1;
        at += bytes;
    }
    int failed = bytes < 0 || ftruncate(to, size < at ? at : size);
    close(from);
    close(to);
    return failed;
}

/* At once, as a journal does. */
static int keep_folder(int fd, const char *path) {
    char from_path[64], part[4200];
    snprintf(from_path, sizeof from_path, "/proc/self/fd/%d", fd);
    snprintf(part, sizeof part, "%s.part", path);
    DIR *folder = opendir(from_path);
    int to = keep(part, O_TRUNC);
    if (!folder || to < 0) return -1;
    struct dirent *entry;
    while ((entry = readdir(folder))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        dprintf(to, "%c %llu %s\n", entry->d_type == DT_DIR ? 'd' : entry->d_type == DT_REG ? 'f' : '-',
                (unsigned long long)entry->d_ino, entry->d_name);
    }
    closedir(folder);
    close(to);
    return rename(part, path);
}

static int flush(int fd) {
    const char *durable = getenv("LOSS_DURABLE"), *forgets = getenv("LOSS_FORGETS");
    struct stat stat;
    if (!durable || fstat(fd, &stat)) return 0;
    char link[64], path[4096] = "", to[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof path - 2) < 0) return 0;
    /* A line break ends a path in it. */
    strcat(path, "\n");
    if (forgets && *forgets && strstr(path, forgets)) return 0;
    int is_folder = S_ISDIR(stat.st_mode), failed = 0;
    if (!is_folder && !S_ISREG(stat.st_mode)) return 0;
    snprintf(to, sizeof to, "%s/%c-%llu", durable, is_folder ? 'd' : 'f', (unsigned long long)stat.st_ino);
    pthread_mutex_lock(&turn);
    failed = is_folder ? keep_folder(fd, to) : keep_file(fd, to, stat.st_size);
    pthread_mutex_unlock(&turn);
    if (failed) {
        fprintf(stderr, "unflushed: %s: %s\n", path, strerror(errno));
        errno = EIO;
        return -1;
    }
    return 0;
}

int fsync(int fd) { return flush(fd); }

int fdatasync(int fd) { return flush(fd); }
