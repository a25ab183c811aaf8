/*
 * base/fs.h - files, relative to an open directory, durable when asked.
 *
 * Nothing here follows a symlink in the last component (but for what
 * ul_dir_open() says), everything is opened close-on-exec. "Durable" means:
 * survives a power cut once 0 was returned.
 */
#ifndef UL_BASE_FS_H
#define UL_BASE_FS_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ul_buf;
struct ul_err;

/*
 * A call that gives -1 for a failure, made again for as long as a signal
 * interrupts it: open(2), write(2), ftruncate(2), fallocate(2) and fsync(2)
 * may be on file systems that wait for somebody else (NFS, FUSE).
 */
#define ul_retry(call)                                                         \
	({                                                                     \
		__typeof__(call) done_;                                        \
		do                                                             \
			done_ = (call);                                        \
		while (done_ < 0 && errno == EINTR);                           \
		done_;                                                         \
	})

/* ul_cleanup(ul_closep): close a descriptor variable unless it is -1. */
void ul_closep(int *fd);

/* Hand over a descriptor variable; it is -1 afterwards. */
int ul_fd_steal(int *fd);

/*
 * Open a directory below dirfd (AT_FDCWD for paths of the command line: there
 * a symlink is somebody's wish and is followed).
 * Returns: 0 with *ret_fd; UL_E_ABSENT where there is nothing of that name;
 * UL_E_IO for all else.
 */
int ul_dir_open(int dirfd, const char *path, int *ret_fd, struct ul_err *err);

/*
 * mkdir -p, mode 0777 less umask for each, and durable.
 * Returns: 0, UL_E_IO, UL_E_INVALID (an empty or too long path).
 */
int ul_dir_make(const char *path, struct ul_err *err);

/*
 * The names in a directory (without . and ..), sorted by strcmp.
 * Owner: *ret_names and each name are freed by ul_names_release().
 */
struct ul_names {
	char **names;
	size_t len;
	size_t cap;
};
#define UL_NAMES_INIT ((struct ul_names){ .names = NULL })
int ul_dir_names(int dirfd, struct ul_names *ret_names, struct ul_err *err);
void ul_names_release(struct ul_names *names);

/* UL_E_IO, UL_E_NOMEM. */
int ul_dir_is_empty(int dirfd, bool *ret_empty, struct ul_err *err);

/* Append a copy, in no order. False without memory. */
bool ul_names_add(struct ul_names *names, const char *name);

/*
 * Append a whole regular file to buf, max_bytes at most. On failure buf holds
 * what it held.
 * Returns: UL_E_ABSENT, UL_E_LIMIT (longer), UL_E_IO (no regular file too).
 */
int ul_file_read(int dirfd, const char *path, size_t max_bytes,
		 struct ul_buf *buf, struct ul_err *err);

/* Write all of data, whatever write() returns. */
int ul_fd_write_all(int fd, const void *data, size_t len, struct ul_err *err);

/*
 * Create or replace a file so that a reader sees the old or the new content,
 * never a part, and durably: written beside as ".NAME.<random>.tmp", synced,
 * renamed, directory synced.
 */
int ul_file_replace(int dirfd, const char *name, const void *data, size_t len,
		    mode_t mode, struct ul_err *err);

/*
 * Its two halves, for who has to do something between writing, which may take
 * long, and renaming, which does not. ul_file_put_in_place() syncs nothing: the
 * directory is the caller's. Where it is not reached or fails, the caller
 * removes ret_temp.
 */
#define UL_FILE_TEMP_MAX 256
int ul_file_write_beside(int dirfd, const char *name, const void *data,
			 size_t len, mode_t mode,
			 char ret_temp[UL_FILE_TEMP_MAX], struct ul_err *err);
int ul_file_put_in_place(int dirfd, const char *temp, const char *name,
			 struct ul_err *err);

/*
 * Whether `file` is what a stop in the middle of ul_file_replace(name) leaves
 * behind, or what one under way is writing.
 */
bool ul_file_is_half_written(const char *file, const char *name);

/* fsync a directory or file. */
int ul_fd_sync(int fd, const char *what, struct ul_err *err);

/* Told once, before a wait: who holds the lock, and how long we wait. */
typedef void ul_waiting(void *arg, const char *holder, int limit_ms);

/*
 * Take flock() on an open file, exclusive or shared. Waits up to
 * timeout_ms; `waiting` (may be NULL) is called once, before the wait
 * (base/holder.h).
 * Returns: 0, UL_E_BUSY (which says who holds it), UL_E_IO.
 */
int ul_fd_lock(int fd, bool exclusive, int timeout_ms, ul_waiting *waiting,
	       void *arg, struct ul_err *err);

/*
 * The mount point that an open file lies on, appended to ret_path (as this
 * process sees it; "" where the kernel does not say). UL_E_IO, UL_E_NOMEM.
 */
int ul_fd_mount_point(int fd, struct ul_buf *ret_path, struct ul_err *err);

/* 16 random lower-case hex digits and a NUL. */
void ul_random_hex(char hex[17]);

#endif
