/*
 * bench/bench.h - what the benches share: processes, medians, numbers that
 * look random, scratch folders. All end the program where something fails.
 */
#ifndef UL_BENCH_BENCH_H
#define UL_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { BENCH_RUNS = 5 };

/* The bench's name, for messages; set first. */
extern const char *bench_name;

__attribute__((noreturn, format(printf, 1, 2))) void bench_fail(const char *fmt,
								...);

/* Like printf(), into memory to be freed. */
__attribute__((format(printf, 1, 2))) char *bench_text(const char *fmt, ...);

/* Reproducible: a sequence of its own for every seed (1 at the start). */
void bench_seed(uint64_t seed);
uint64_t bench_random(void);
uint32_t bench_random_below(uint32_t bound);

/* Run a program to its end, its output discarded; the time it took. */
int64_t bench_run(const char *const argv[]);
/* The same where the program may be missing: false. */
bool bench_can_run(const char *const argv[]);
/* Start one that goes on, its output into a file. */
pid_t bench_start(const char *const argv[], const char *log);
/* End it and wait for it. */
void bench_stop(pid_t pid);

/* Sorts; in seconds. */
double bench_median_s(int64_t *ns, size_t count);

/* Write back what the file system below this folder still has to write. */
void bench_sync(const char *folder);

/* Forget what the kernel remembers of files. False: not allowed. */
bool bench_drop_caches(void);

/* A new folder below `top`; remove it with bench_remove(). Owner: caller. */
char *bench_scratch(const char *top);
void bench_remove(const char *path);
void bench_mkdir(const char *path);

#endif
