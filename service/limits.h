/*
 * service/limits.h - every bound on what a configuration may say, and a client
 * of the service may ask for, with its reason. What stores may hold is bounded
 * in store/limits.h.
 */
#ifndef UL_SERVICE_LIMITS_H
#define UL_SERVICE_LIMITS_H

#include <stdint.h>

/* The file. The example with every key and its comments has 6 kB; a hundred
 * stores with a rule each stay below 64 KiB. */
#define UL_CONFIG_MAX_BYTES (1u << 20)

/* Nesting: prune rule, its list, and room for what comments hold. */
#define UL_CONFIG_MAX_DEPTH 16

/* As many as one command line may name. */
#define UL_CONFIG_STORES_MAX 64

/* Each is looked at whenever one is due, and names its own metrics. */
#define UL_CONFIG_PRUNES_MAX 256

/* Texts of one list: patterns, filters, users. Each name of an image is held
 * against each of them. */
#define UL_CONFIG_LIST_MAX 1024

/* Names of stores and rules: labels of metrics and parts of URLs. */
#define UL_CONFIG_NAME_MAX_BYTES 64

/* The kernel's PATH_MAX, and sun_path of unix(7), both less the NUL. */
#define UL_CONFIG_PATH_MAX_BYTES 4095
#define UL_CONFIG_SOCKET_MAX_BYTES 107

/* LOGIN_NAME_MAX of Linux, less the NUL. */
#define UL_CONFIG_USER_MAX_BYTES 255

/* Ten years: longer means for ever, and sums of times stay far from the end of
 * their type. */
#define UL_CONFIG_AGE_MAX_S (INT64_C(3653) * 86400)

/* Intervals and jitter. A year: what comes more seldom is a date, and the day
 * on which it would come depends on when the machine was set up. */
#define UL_SCHEDULE_MAX_S (INT64_C(366) * 86400)

/* Jitter of cron times: a delay past the next one would pass it over; most are
 * a day apart. */
#define UL_JITTER_CRON_MAX_S 86400

/* Cron times within which a match has to come: the longest wait of any that
 * has one, 29 February on a given weekday over a year 2100, is 40 years. */
#define UL_SCHEDULE_SEARCH_YEARS 41

/* Looks at a file system's marks: a statvfs() a second costs nothing; less than
 * once in five minutes a disk fills between two. */
#define UL_CONFIG_LOOK_MIN_S 1
#define UL_CONFIG_LOOK_MAX_S 300

/* An eighth of the descriptors that systemd lets a service ask for (524288); at
 * 16 KiB of buffers each they are 1 GiB. */
#define UL_CONFIG_CONNECTIONS_MAX 65536

/* Requests that are being answered, each with a view of its own in memory. */
#define UL_CONFIG_REQUESTS_MAX 4096

/* Threads that work for requests and timers: more than any machine's disks
 * answer at once. */
#define UL_CONFIG_WORKERS_MAX 256

/* A request's body, which is kept whole while it is answered: from the smallest
 * that still names things to what a saved plan may have (UL_PLAN_MAX_BYTES). */
#define UL_CONFIG_BODY_MIN_BYTES (UINT64_C(4) << 10)
#define UL_CONFIG_BODY_MAX_BYTES (UINT64_C(512) << 20)

/* An archive that is imported comes as a stream and takes no memory. */
#define UL_CONFIG_IMPORT_MIN_BYTES (UINT64_C(1) << 20)
#define UL_CONFIG_IMPORT_MAX_BYTES (UINT64_C(1) << 42)

/* A connection on which nothing comes or goes. */
#define UL_CONFIG_IDLE_MIN_S 1
#define UL_CONFIG_IDLE_MAX_S 3600

/* Nesting of a request's JSON: an object with lists, and room to say what is
 * wrong about more. */
#define UL_REQUEST_MAX_DEPTH 8

#endif
