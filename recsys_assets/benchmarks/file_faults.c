/* Calls to the file system that fail when they should, and a record of those that succeeded.
 *
 * Loaded by LD_PRELOAD. Paths under one root are watched: `faults_fail` lets the n-th call of some kinds on paths that
 * match a pattern fail with an error number, `faults_record` appends every change and every sync to a log, from which
 * `lost_writes.py` builds the tree that a power cut would leave.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, SYNC = 4, RENAME = 8, UNLINK = 16, MKDIR = 32 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char root[PATH_MAX], pattern[PATH_MAX];
static int kinds, wanted, error_number, sticky, calls, fired;
static int log_fd = -1, list_fd = -1;

#define REAL(name) ((typeof(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static int under_root(const char *path) {
    size_t length = strlen(root);
    return length && !strncmp(path, root, length) && (path[length] == '/' || !path[length]);
}

/* The absolute path, with the folder of its descriptor in front; links and `..` are left as they are. */
static const char *absolute(int folder, const char *path, char *out) {
    if (path[0] == '/') return snprintf(out, PATH_MAX, "%s", path), out;
    char base[PATH_MAX];
    ssize_t length;
    if (folder == AT_FDCWD) {
        if (!getcwd(base, sizeof base)) return NULL;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
        if ((length = readlink(link, base, sizeof base - 1)) < 0) return NULL;
        base[length] = 0;
    }
    return snprintf(out, PATH_MAX, "%.*s/%s", PATH_MAX / 2, base, path), out;
}

/* The path of an open file under the root, or NULL. */
static const char *path_of(int fd, char *out) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = root[0] ? readlink(link, out, PATH_MAX - 1) : -1;
    if (length < 0) return NULL;
    out[length] = 0;
    char *deleted = strstr(out, " (deleted)");
    if (deleted) *deleted = 0;
    return under_root(out) ? out : NULL;
}

/* True where this call must fail; `errno` is set then. */
static int fails(int kind, const char *path) {
    if (!path || !under_root(path)) return 0;
    if (list_fd >= 0) {
        char line[PATH_MAX];
        int kept = errno, length = snprintf(line, sizeof line, "%d %s\n", kind, path + strlen(root));
        if (REAL(write)(list_fd, line, length) < 0) abort();
        errno = kept;
    }
    if (!(kinds & kind)) return 0;
    if (fnmatch(pattern, path + strlen(root), 0)) return 0;
    pthread_mutex_lock(&lock);
    int now = ++calls, hit = now == wanted || (sticky && now > wanted);
    fired += hit;
    pthread_mutex_unlock(&lock);
    if (hit) errno = error_number;
    return hit;
}

struct header {
    char what[8];
    uint64_t inode, offset;
    uint32_t path, other, data;
};

static void put(const char *what, uint64_t inode, uint64_t offset, const char *path, const char *other, const void *data,
                size_t size) {
    struct header head = {.inode = inode, .offset = offset, .data = size};
    snprintf(head.what, sizeof head.what, "%s", what);
    head.path = path ? strlen(path) : 0;
    head.other = other ? strlen(other) : 0;
    struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)other, head.other}, {(void *)data, size}};
    int kept = errno;
    if (REAL(writev)(log_fd, parts, 4) < 0) abort();
    errno = kept;
}

static uint64_t inode_of(int fd) {
    struct stat found;
    return fstat(fd, &found) ? 0 : found.st_ino;
}

/* Record the whole content of a file: of one that was mapped, the writes are not seen. */
static void put_content(const char *what, const char *path) {
    int fd = REAL(open)(path, O_RDONLY | O_CLOEXEC);
    struct stat found;
    if (fd < 0 || fstat(fd, &found)) return;
    void *content = malloc(found.st_size + 1);
    ssize_t size = pread(fd, content, found.st_size, 0);
    put(what, found.st_ino, 0, path, NULL, content, size < 0 ? 0 : size);
    free(content);
    close(fd);
}

static int recording(const char *path) { return log_fd >= 0 && path && under_root(path); }
#define BEGIN(path) int recorded_ = recording(path); if (recorded_) pthread_mutex_lock(&lock)
#define END() if (recorded_) pthread_mutex_unlock(&lock)

/* --- opening ------------------------------------------------------------------------------------------------- */

static int open_any(int folder, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    const char *place = root[0] ? absolute(folder, path, full) : NULL;
    int writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT;
    if (place && writes && fails(OPEN, place)) return -1;
    BEGIN(writes ? place : NULL);
    int created = recorded_ && flags & O_CREAT && access(place, F_OK);
    int fd = REAL(openat)(folder, path, flags, mode);
    if (recorded_ && fd >= 0) {
        if (created) put("create", inode_of(fd), 0, place, NULL, NULL, 0);
        else if (flags & O_TRUNC) put("size", inode_of(fd), 0, place, NULL, NULL, 0);
    }
    END();
    return fd;
}

#define MODE(flags) mode_t mode = 0; if (flags & (O_CREAT | __O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }
int open(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return open_any(AT_FDCWD, path, flags, mode); }
int openat(int folder, const char *path, int flags, ...) { MODE(flags) if (!root[0]) return REAL(openat)(folder, path, flags, mode); return open_any(folder, path, flags, mode); }
int openat64(int folder, const char *path, int flags, ...) { MODE(flags) return open_any(folder, path, flags, mode); }
int creat(const char *path, mode_t mode) { return open_any(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

static FILE *fopen_any(const char *path, const char *mode) {
    int plus = strchr(mode, '+') != NULL;
    int flags = mode[0] == 'r' ? (plus ? O_RDWR : O_RDONLY)
                               : (plus ? O_RDWR : O_WRONLY) | O_CREAT | (mode[0] == 'w' ? O_TRUNC : O_APPEND);
    int fd = open_any(AT_FDCWD, path, flags | O_CLOEXEC, 0666);
    return fd < 0 ? NULL : fdopen(fd, mode);
}
FILE *fopen(const char *path, const char *mode) { return root[0] ? fopen_any(path, mode) : REAL(fopen)(path, mode); }
FILE *fopen64(const char *path, const char *mode) { return root[0] ? fopen_any(path, mode) : REAL(fopen64)(path, mode); }

/* --- writing ------------------------------------------------------------------------------------------------- */

static void put_written(int fd, const char *path, int64_t offset, const void *data, ssize_t size) {
    if (size <= 0) return;
    if (offset < 0) { /* written at the position, which has moved on since; appended ones are at the end */
        offset = lseek(fd, 0, SEEK_CUR) - size;
    }
    put("write", inode_of(fd), offset, path, NULL, data, size);
}

#define WRITING(call, offset, data) \
    char place_[PATH_MAX]; \
    const char *path = path_of(fd, place_); \
    if (path && fails(WRITE, path)) return -1; \
    BEGIN(path); \
    ssize_t size = call; \
    if (recorded_) put_written(fd, path, offset, data, size); \
    END(); \
    return size;

ssize_t write(int fd, const void *data, size_t length) { WRITING(REAL(write)(fd, data, length), -1, data) }
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) { WRITING(REAL(pwrite)(fd, data, length, at), at, data) }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) { WRITING(REAL(pwrite64)(fd, data, length, at), at, data) }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    char place_[PATH_MAX];
    if (!path_of(fd, place_)) return REAL(writev)(fd, parts, count);
    ssize_t size = 0;
    for (int part = 0; part < count; part++) {
        ssize_t some = write(fd, parts[part].iov_base, parts[part].iov_len);
        if (some < 0) return size ? size : -1;
        size += some;
        if ((size_t)some < parts[part].iov_len) break;
    }
    return size;
}

/* The buffers of stdio are written by glibc itself: a write through them is one to the file at once. */
size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    char place[PATH_MAX];
    int fd = root[0] ? fileno(file) : -1;
    if (fd < 0 || !path_of(fd, place)) return REAL(fwrite)(data, size, count, file);
    if (fails(WRITE, place)) return 0;
    BEGIN(place);
    long at = recorded_ ? ftell(file) : 0;
    size_t written = REAL(fwrite)(data, size, count, file);
    if (recorded_) put_written(fd, place, at, data, written * size);
    END();
    return written;
}

static ssize_t copied(int out, ssize_t size) {
    char place[PATH_MAX];
    const char *path = size > 0 ? path_of(out, place) : NULL;
    if (recording(path)) put_content("content", path);
    return size;
}
ssize_t sendfile(int out, int in, off_t *at, size_t count) {
    char place[PATH_MAX];
    if (fails(WRITE, path_of(out, place))) return -1;
    return copied(out, REAL(sendfile)(out, in, at, count));
}
ssize_t sendfile64(int out, int in, off64_t *at, size_t count) {
    char place[PATH_MAX];
    if (fails(WRITE, path_of(out, place))) return -1;
    return copied(out, REAL(sendfile64)(out, in, at, count));
}
ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t length, unsigned flags) {
    char place[PATH_MAX];
    if (fails(WRITE, path_of(out, place))) return -1;
    return copied(out, REAL(copy_file_range)(in, from, out, to, length, flags));
}

static int resized(int fd, off64_t length, int (*resize)(int, off64_t)) {
    char place[PATH_MAX];
    const char *path = path_of(fd, place);
    if (path && fails(WRITE, path)) return -1;
    BEGIN(path);
    int result = resize(fd, length);
    if (recorded_ && !result) put("size", inode_of(fd), length, path, NULL, NULL, 0);
    END();
    return result;
}
int ftruncate(int fd, off_t length) { return resized(fd, length, (int (*)(int, off64_t))real("ftruncate")); }
int ftruncate64(int fd, off64_t length) { return resized(fd, length, (int (*)(int, off64_t))real("ftruncate64")); }

static int allocated(int fd, off64_t at, off64_t length) {
    char place[PATH_MAX];
    const char *path = path_of(fd, place);
    if (path && fails(WRITE, path)) return errno;
    BEGIN(path);
    int result = REAL(posix_fallocate64)(fd, at, length);
    if (recorded_ && !result) put("size", inode_of(fd), at + length, path, NULL, NULL, 0);
    END();
    return result;
}
int posix_fallocate(int fd, off_t at, off_t length) { return allocated(fd, at, length); }
int posix_fallocate64(int fd, off64_t at, off64_t length) { return allocated(fd, at, length); }

/* --- mapped files: their content is recorded whole, when it is synced and when it is no longer mapped -------- */

static struct { void *at; size_t length; char path[PATH_MAX]; } maps[64];

static void *mapped(void *at, int protection, int flags, int fd, size_t length) {
    char place[PATH_MAX];
    if (at == MAP_FAILED || fd < 0 || !(protection & PROT_WRITE) || !(flags & MAP_SHARED)) return at;
    const char *path = path_of(fd, place);
    size_t size = path ? strlen(path) : 0;
    if (!recording(path) || (size > 4 && !strcmp(path + size - 4, "-shm"))) return at;
    pthread_mutex_lock(&lock);
    for (int slot = 0; slot < 64; slot++)
        if (!maps[slot].at) {
            maps[slot].at = at;
            maps[slot].length = length;
            strcpy(maps[slot].path, path);
            break;
        }
    pthread_mutex_unlock(&lock);
    return at;
}
void *mmap(void *at, size_t length, int protection, int flags, int fd, off_t offset) {
    return mapped(REAL(mmap)(at, length, protection, flags, fd, offset), protection, flags, fd, length);
}
void *mmap64(void *at, size_t length, int protection, int flags, int fd, off64_t offset) {
    return mapped(REAL(mmap64)(at, length, protection, flags, fd, offset), protection, flags, fd, length);
}

static void put_map(void *at, const char *what, int ends) {
    if (log_fd < 0) return;
    pthread_mutex_lock(&lock);
    for (int slot = 0; slot < 64; slot++)
        if (maps[slot].at && (char *)at >= (char *)maps[slot].at && (char *)at < (char *)maps[slot].at + maps[slot].length) {
            put_content("content", maps[slot].path);
            if (!ends) {
                struct stat found;
                if (!stat(maps[slot].path, &found)) put(what, found.st_ino, 0, maps[slot].path, NULL, NULL, 0);
            } else {
                maps[slot].at = NULL;
            }
        }
    pthread_mutex_unlock(&lock);
}
int munmap(void *at, size_t length) {
    put_map(at, "", 1);
    return REAL(munmap)(at, length);
}
int msync(void *at, size_t length, int flags) {
    int result = REAL(msync)(at, length, flags);
    if (!result && flags & MS_SYNC) put_map(at, "sync", 0);
    return result;
}

/* --- syncing ------------------------------------------------------------------------------------------------- */

static int synced(int fd) {
    char place[PATH_MAX];
    const char *path = path_of(fd, place);
    if (path && fails(SYNC, path)) return -1;
    BEGIN(path);
    struct stat found;
    /* the disk need not work: the record is the disk */
    if (recorded_ && !fstat(fd, &found)) {
        for (int slot = 0; slot < 64; slot++)
            if (maps[slot].at && !strcmp(maps[slot].path, path)) put_content("content", path);
        put(S_ISDIR(found.st_mode) ? "syncdir" : "sync", found.st_ino, 0, path, NULL, NULL, 0);
    }
    END();
    return 0;
}
int fsync(int fd) { return root[0] ? synced(fd) : REAL(fsync)(fd); }
int fdatasync(int fd) { return root[0] ? synced(fd) : REAL(fdatasync)(fd); }

/* --- names --------------------------------------------------------------------------------------------------- */

static int renamed(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    char old[PATH_MAX], new[PATH_MAX];
    const char *source = root[0] ? absolute(from_folder, from, old) : NULL;
    const char *target = source ? absolute(to_folder, to, new) : NULL;
    if (target && fails(RENAME, target)) return -1;
    BEGIN(target);
    int result = flags ? REAL(renameat2)(from_folder, from, to_folder, to, flags)
                       : REAL(renameat)(from_folder, from, to_folder, to);
    if (recorded_ && !result) put("rename", 0, 0, source, target, NULL, 0);
    END();
    return result;
}
int rename(const char *from, const char *to) { return renamed(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int a, const char *from, int b, const char *to) { return root[0] ? renamed(a, from, b, to, 0) : REAL(renameat)(a, from, b, to); }
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) { return root[0] ? renamed(a, from, b, to, flags) : REAL(renameat2)(a, from, b, to, flags); }

static int removed(int folder, const char *path, int flags) {
    char full[PATH_MAX];
    const char *place = root[0] ? absolute(folder, path, full) : NULL;
    if (place && fails(UNLINK, place)) return -1;
    BEGIN(place);
    int result = REAL(unlinkat)(folder, path, flags);
    if (recorded_ && !result) put("unlink", 0, 0, place, NULL, NULL, 0);
    END();
    return result;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return removed(AT_FDCWD, path, AT_REMOVEDIR); }
int remove(const char *path) {
    int result = removed(AT_FDCWD, path, 0);
    return result && errno == EISDIR ? removed(AT_FDCWD, path, AT_REMOVEDIR) : result;
}
int unlinkat(int folder, const char *path, int flags) { return root[0] ? removed(folder, path, flags) : REAL(unlinkat)(folder, path, flags); }

static int made(int folder, const char *path, mode_t mode) {
    char full[PATH_MAX];
    const char *place = root[0] ? absolute(folder, path, full) : NULL;
    if (place && access(place, F_OK) && fails(MKDIR, place)) return -1;
    BEGIN(place);
    int result = REAL(mkdirat)(folder, path, mode);
    if (recorded_ && !result) put("mkdir", 0, 0, place, NULL, NULL, 0);
    END();
    return result;
}
int mkdir(const char *path, mode_t mode) { return made(AT_FDCWD, path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) { return root[0] ? made(folder, path, mode) : REAL(mkdirat)(folder, path, mode); }

static int linked(const char *what, const char *target, const char *path, int result) {
    if (!result && recording(path)) put(what, 0, 0, path, target, NULL, 0);
    return result;
}
int symlink(const char *target, const char *path) { return linked("symlink", target, path, REAL(symlink)(target, path)); }
int link(const char *from, const char *path) { return linked("link", from, path, REAL(link)(from, path)); }

/* --- control ------------------------------------------------------------------------------------------------- */

/* Watch the files under a folder; the empty text watches none. No call fails until `faults_fail`. */
void faults_watch(const char *folder) {
    kinds = 0;
    snprintf(root, sizeof root, "%s", folder);
}

/* Let call `nth` (from 1) of these kinds on paths, relative to the root, that match a pattern fail; with `on`, those after it too. */
void faults_fail(int of_kinds, const char *matching, int nth, int number, int on) {
    kinds = 0;
    snprintf(pattern, sizeof pattern, "%s", matching);
    wanted = nth, error_number = number, sticky = on, calls = fired = 0;
    kinds = of_kinds;
}
int faults_fired(void) { return fired; }

static void append_to(int *fd, const char *log) {
    if (*fd >= 0) close(*fd);
    *fd = log ? REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
}

/* Append every change to this file from now on; NULL ends it. */
void faults_record(const char *log) {
    append_to(&log_fd, log);
    memset(maps, 0, sizeof maps);
}

/* Append kind and path of every call that could fail to this file from now on; NULL ends it. */
void faults_list(const char *log) { append_to(&list_fd, log); }
