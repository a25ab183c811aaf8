/*
 * base/err.h - how a failure travels.
 *
 * Functions that can fail return 0 or a negative enum ul_code and take a
 * struct ul_err as their last parameter. The leaf says what failed, each
 * caller that knows what was being attempted wraps it, outermost first:
 * "importing app.tar: layer 3: read: Input/output error". Positive results
 * are expected outcomes, named by the function that returns them.
 */
#ifndef UL_BASE_ERR_H
#define UL_BASE_ERR_H

#include <stdbool.h>

enum ul_code {
	UL_E_NOMEM = -1, /* an allocation failed */
	UL_E_IO = -2,    /* the system refused; sys_errno says why */
	UL_E_DB = -3,    /* SQLite refused */
	UL_E_CORRUPT =
	    -4,          /* stored or received bytes are not what they claim */
	UL_E_LIMIT = -5, /* a bound of store/limits.h was exceeded */
	UL_E_BUSY = -6,  /* somebody else holds it, waiting was in vain */
	UL_E_CANCELED = -7,     /* asked to stop */
	UL_E_INVALID = -8,      /* the request makes no sense (usage) */
	UL_E_CONFLICT = -9,     /* what the request relied upon has changed */
	UL_E_ABSENT = -10,      /* what was named is not there */
	UL_E_REFUSED = -11,     /* possible, but not safe: nothing was done */
	UL_E_UNSUPPORTED = -12, /* understood, but not something we handle */
};

/* On the caller's stack, so reporting out-of-memory cannot fail. */
struct ul_err {
	int code;       /* 0 or an enum ul_code */
	int sys_errno;  /* the errno behind UL_E_IO; ENOSPC where SQLite says
			   that the disk is full; else 0 */
	char msg[1024]; /* one line, no trailing newline, no prefix */
};
#define UL_ERR_INIT ((struct ul_err){ .code = 0 })

/* Set code and message. Returns code, so `return ul_err_set(...)` works. */
int ul_err_set(struct ul_err *err, enum ul_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Set the message and append what errno says. Returns UL_E_IO, or UL_E_NOMEM
 * where errno is ENOMEM.
 */
int ul_err_sys(struct ul_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether this errno says that there is no room: on the disk, or in what a
 * quota leaves of it. */
bool ul_errno_is_full(int sys_errno);

/* Put "what: " before the message that is there. Returns err->code. */
int ul_err_wrap(struct ul_err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* The usual UL_E_NOMEM message. Returns UL_E_NOMEM. */
int ul_err_nomem(struct ul_err *err);

#endif
