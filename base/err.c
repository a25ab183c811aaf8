#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int ul_err_set(struct ul_err *err, enum ul_code code, const char *fmt, ...)
{
	va_list ap;

	err->code = code;
	err->sys_errno = 0;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	return code;
}

/* Append ": cause". Where there is no room for both, the middle goes: what
 * was attempted stands first, and why it failed last. */
static void append_cause(struct ul_err *err, const char *cause)
{
	size_t len = strlen(err->msg), cause_len = strlen(cause);
	size_t most = sizeof err->msg - sizeof ": ";

	if (cause_len > most / 2) {
		cause += cause_len - most / 2;
		cause_len = most / 2;
	}
	if (len > most - cause_len)
		len = most - cause_len;
	memcpy(err->msg + len, ": ", 2);
	memcpy(err->msg + len + 2, cause, cause_len);
	err->msg[len + 2 + cause_len] = '\0';
}

int ul_err_sys(struct ul_err *err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	err->code = saved == ENOMEM ? UL_E_NOMEM : UL_E_IO;
	err->sys_errno = saved;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	append_cause(err, strerror(saved));
	return err->code;
}

int ul_err_wrap(struct ul_err *err, const char *fmt, ...)
{
	char inner[sizeof err->msg];
	va_list ap;

	memcpy(inner, err->msg, sizeof inner);
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	append_cause(err, inner);
	return err->code;
}

int ul_err_nomem(struct ul_err *err)
{
	return ul_err_set(err, UL_E_NOMEM, "out of memory");
}

bool ul_errno_is_full(int sys_errno)
{
	return sys_errno == ENOSPC || sys_errno == EDQUOT;
}
