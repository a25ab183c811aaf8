/*
 * base/holder.h - who holds a lock, for messages to people.
 */
#ifndef UL_BASE_HOLDER_H
#define UL_BASE_HOLDER_H

#define UL_HOLDER_MAX 64

/*
 * "process 1234 (ullage)" for whoever holds flock() exclusively on the file
 * that fd is open on, by /proc/locks and fdinfo (proc(5)); "another process"
 * where that cannot be seen (another user's container, no /proc, let go
 * meanwhile). Returns text.
 */
const char *ul_holder_text(int fd, char text[UL_HOLDER_MAX]);

#endif
