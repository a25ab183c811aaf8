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

int ul_err_sys(struct ul_err *err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	size_t len;

	err->code = saved == ENOMEM ? UL_E_NOMEM : UL_E_IO;
	err->sys_errno = saved;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof err->msg - len, ": %s",
		 strerror(saved));
	return err->code;
}

int ul_err_wrap(struct ul_err *err, const char *fmt, ...)
{
	char inner[sizeof err->msg];
	va_list ap;
	size_t len;

	memcpy(inner, err->msg, sizeof inner);
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof err->msg, fmt, ap);
	va_end(ap);
	len = strlen(err->msg);
	snprintf(err->msg + len, sizeof err->msg - len, ": %s", inner);
	return err->code;
}

int ul_err_nomem(struct ul_err *err)
{
	return ul_err_set(err, UL_E_NOMEM, "out of memory");
}
