/*
 * base/step.h - every step that changes a disk, counted; for tests only.
 *
 * A program that links ul_steps is the same program, object by object, but
 * each call of it that changes a file system goes through here first (the
 * linker's --wrap; base/CMakeLists.txt lists the calls, and a test finds any
 * that is missing there). SQLite's own writes come in through
 * store/db/step_vfs.c. The environment says what is to happen:
 *
 *	ULLAGE_STEP=N:KIND    at the N-th step, counted from 1 over all threads
 *	ULLAGE_STEP=N+:KIND   at the N-th and at all that follow
 *	ULLAGE_STEP_TRACE=FILE   append a line for each step
 *
 * KIND is one of
 *
 *	kill	stop at once, before the step, as SIGKILL would
 *	torn	the first half of a write, then stop
 *	EIO, ENOSPC, EDQUOT, EINTR	the step fails so
 *	short	half of a write is done and said to be
 *	memory	the N-th allocation fails (base/mem.h), no step
 *
 * Steps that cannot fail so are not counted for that KIND: EINTR of rename(),
 * a short unlink(), a short write of SQLite, which goes on by itself. A line
 * of the trace has, between tabs: number, thread, the KINDs that it counts
 * for, call, path, second path, result.
 * While there is a trace, steps of several threads wait for each other, so
 * that its order is the real one.
 */
#ifndef UL_BASE_STEP_H
#define UL_BASE_STEP_H

#include <stddef.h>

/* What can happen to a step, besides kill and EIO. */
enum {
	UL_STEP_ENOSPC = 1, /* and EDQUOT */
	UL_STEP_EINTR = 2,
	UL_STEP_SHORT = 4,
	UL_STEP_TORN = 8,
};

/* One step; the first members are the caller's. */
struct ul_step {
	const char *call;
	int fd;           /* the file itself, or where path begins */
	const char *path; /* may be NULL */
	int to_fd;
	const char *to; /* second path; may be NULL */
	unsigned may;   /* UL_STEP_... */
	/* Filled in by ul_step_begin(). */
	long number;
	char where[512];
};

/*
 * Say that a step is about to be done. Does not return where the program is
 * to stop here. Thread: any.
 * Returns: 0 do it; 1 do the first half of it only (a write): then call
 * ul_step_half(); -1 do not, it has failed with errno.
 */
int ul_step_begin(struct ul_step *step);

/* After the first half: stops the program, or returns to go on with it. */
void ul_step_half(void);

/* Say that it is done, whatever came of it. Keeps errno. */
void ul_step_end(const struct ul_step *step, long result);

#endif
