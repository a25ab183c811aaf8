/*
 * service/schedule_cron.h - the text of a cron time, for service/schedule.c.
 */
#ifndef UL_SERVICE_SCHEDULE_CRON_H
#define UL_SERVICE_SCHEDULE_CRON_H

struct ul_err;
struct ul_schedule;

/* As ul_schedule_parse(), of all forms but "off" and "every". */
int ul_schedule_parse_cron(const char *text, struct ul_schedule *ret,
			   struct ul_err *err);

#endif
