#include "tests/unit/base/fixture.h"

#include <sched.h>

int group_setup(void **state)
{
	(void)state;
	return unshare(CLONE_NEWNS) ||
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof *fixture);

	strcpy(fixture->path, "/tmp/ul-test-XXXXXX");
	if (!mkdtemp(fixture->path))
		return -1;
	fixture->fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fixture->random = 0x9e3779b97f4a7c15;
	*state = fixture;
	return fixture->fd < 0 ? -1 : 0;
}

int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	ul_mem_countdown = -1;
	close(fixture->fd);
	umount2(fixture->path, MNT_DETACH);
	snprintf(command, sizeof command, "rm -rf %s", fixture->path);
	free(fixture);
	return system(command);
}

void fixture_use_tmpfs(struct fixture *fixture)
{
	close(fixture->fd);
	assert_return_code(mount("none", fixture->path, "tmpfs", 0, NULL),
			   errno);
	fixture->fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_return_code(fixture->fd, errno);
}

uint64_t fixture_random(struct fixture *fixture, uint64_t below)
{
	fixture->random ^= fixture->random << 13;
	fixture->random ^= fixture->random >> 7;
	fixture->random ^= fixture->random << 17;
	return fixture->random % below;
}

void make_dir(int fd, const char *path)
{
	assert_return_code(mkdirat(fd, path, 0755), errno);
}

void make_file(int fd, const char *path, size_t bytes)
{
	int file =
	    openat(fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	char block[4096];

	assert_return_code(file, errno);
	memset(block, 'x', sizeof block);
	while (bytes) {
		size_t part = bytes < sizeof block ? bytes : sizeof block;

		assert_int_equal(write(file, block, part), part);
		bytes -= part;
	}
	close(file);
}

void make_link(int fd, const char *from, const char *to)
{
	assert_return_code(linkat(fd, from, fd, to, 0), errno);
}

bool exists(int fd, const char *path)
{
	struct stat st;

	return !fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW);
}

uint64_t blocks_of(int fd, const char *path)
{
	struct stat st;

	assert_return_code(fstatat(fd, path, &st, AT_SYMLINK_NOFOLLOW), errno);
	return (uint64_t)st.st_blocks * 512;
}

uint64_t du(struct fixture *fixture, const char *arguments)
{
	unsigned long long bytes = 0, sum = 0;
	char command[256];
	FILE *out;

	snprintf(command, sizeof command, "cd %s && du -sx -B1 %s",
		 fixture->path, arguments);
	out = popen(command, "r");
	assert_non_null(out);
	while (fscanf(out, "%llu %*[^\n]", &bytes) == 1)
		sum += bytes;
	assert_int_equal(pclose(out), 0);
	return sum;
}

rlim_t limit_files(rlim_t count)
{
	struct rlimit limit;
	rlim_t before;

	assert_return_code(getrlimit(RLIMIT_NOFILE, &limit), errno);
	before = limit.rlim_cur;
	limit.rlim_cur = count;
	assert_return_code(setrlimit(RLIMIT_NOFILE, &limit), errno);
	return before;
}

void make_random_tree(struct fixture *fixture, const char *top)
{
	char dirs[64][128], path[192], target[192] = "";
	size_t dir_count = 1, i, count = 50 + fixture_random(fixture, 200);
	int file;

	snprintf(dirs[0], sizeof dirs[0], "%s", top);
	make_dir(fixture->fd, top);
	for (i = 0; i < count; i++) {
		const char *dir = dirs[fixture_random(fixture, dir_count)];

		snprintf(path, sizeof path, "%s/n%zu", dir, i);
		switch (fixture_random(fixture, 8)) {
		case 0:
			if (dir_count < 64 && strlen(path) < 100) {
				make_dir(fixture->fd, path);
				strcpy(dirs[dir_count++], path);
			}
			break;
		case 1:
			assert_return_code(symlinkat(*target ? target : "/",
						     fixture->fd, path),
					   errno);
			break;
		case 2:
			make_file(fixture->fd, path, 5);
			file = openat(fixture->fd, path, O_WRONLY | O_CLOEXEC);
			assert_return_code(ftruncate(file, 1 << 20), errno);
			close(file);
			break;
		case 3:
			assert_return_code(mkfifoat(fixture->fd, path, 0600),
					   errno);
			break;
		case 4:
			if (*target) {
				make_link(fixture->fd, target, path);
				break;
			} /* fall through */
		default:
			make_file(fixture->fd, path,
				  fixture_random(fixture, 20000));
			snprintf(target, sizeof target, "%s", path);
		}
	}
}

void make_deep(int at, int depth)
{
	int fd = dup(at), next;

	while (depth--) {
		make_dir(fd, "sibling");
		make_file(fd, "sibling/file", 10);
		make_dir(fd, "deeper");
		next = openat(fd, "deeper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_return_code(next, errno);
		close(fd);
		fd = next;
	}
	close(fd);
}
