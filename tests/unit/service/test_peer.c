#include "service/peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "service/config.h"

/* Nobody's numbers, but for root. */
static const char access_text[] =
    "{\"access\":{"
    "\"change\":{\"users\":[\"4001\"],\"groups\":[\"5001\"]},"
    "\"read\":{\"users\":[\"root\",\"4002\"],\"groups\":[\"5002\"]}}}";

static void rights_make(const char *text, struct ul_rights *ret)
{
	struct ul_config config;
	struct ul_err err = UL_ERR_INIT;

	assert_int_equal(
	    ul_config_parse(text, strlen(text), "test", &config, &err), 0);
	assert_int_equal(ul_rights_init(&config, 4000, ret, &err), 0);
	ul_config_release(&config);
}

static enum ul_right right_of(const struct ul_rights *rights, uid_t user_id,
			      gid_t first, gid_t second)
{
	const struct ul_peer peer = {
		.user_id = user_id,
		.group_ids = { first, second },
		.group_count = second ? 2 : 1,
		.is_local = true,
	};

	return ul_rights_of(rights, &peer);
}

static void test_peer__rights_are_those_of_the_configuration(void **state)
{
	ul_cleanup(ul_rights_release) struct ul_rights rights;

	(void)state;
	rights_make(access_text, &rights);
	assert_int_equal(right_of(&rights, 0, 1, 0), UL_RIGHT_CHANGE);
	assert_int_equal(right_of(&rights, 4000, 1, 0), UL_RIGHT_CHANGE);
	assert_int_equal(right_of(&rights, 4001, 1, 0), UL_RIGHT_CHANGE);
	assert_int_equal(right_of(&rights, 4002, 1, 0), UL_RIGHT_READ);
	assert_int_equal(right_of(&rights, 4003, 1, 0), UL_RIGHT_NONE);
	assert_int_equal(right_of(&rights, 4003, 5001, 0), UL_RIGHT_CHANGE);
	assert_int_equal(right_of(&rights, 4003, 1, 5001), UL_RIGHT_CHANGE);
	assert_int_equal(right_of(&rights, 4003, 1, 5002), UL_RIGHT_READ);
	assert_int_equal(right_of(&rights, 4002, 5001, 0), UL_RIGHT_CHANGE);
	/* Who could not be known. */
	assert_int_equal(right_of(&rights, (uid_t)-1, 0, 0), UL_RIGHT_NONE);
}

static void test_peer__everyone_may_read_where_it_says_so(void **state)
{
	ul_cleanup(ul_rights_release) struct ul_rights rights;

	(void)state;
	rights_make("{\"socket\":{\"mode\":\"0666\"},"
		    "\"access\":{\"read\":{\"everyone\":true}}}",
		    &rights);
	assert_int_equal(right_of(&rights, 4003, 1, 0), UL_RIGHT_READ);
	assert_int_equal(right_of(&rights, 0, 0, 0), UL_RIGHT_CHANGE);
}

static void test_peer__who_comes_by_the_port_reads(void **state)
{
	ul_cleanup(ul_rights_release) struct ul_rights rights;
	const struct ul_peer peer = { .user_id = 0, .is_local = false };

	(void)state;
	rights_make(access_text, &rights);
	assert_int_equal(ul_rights_of(&rights, &peer), UL_RIGHT_READ);
}

static void test_peer__names_have_to_exist(void **state)
{
	static const char *const texts[][2] = {
		{ "{\"access\":{\"change\":{\"users\":[\"no-such-u\"]}}}",
		  "there is no user \"no-such-u\"" },
		{ "{\"access\":{\"read\":{\"groups\":[\"no-such-g\"]}}}",
		  "there is no group \"no-such-g\"" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(texts); i++) {
		struct ul_rights rights;
		struct ul_config config;
		struct ul_err err = UL_ERR_INIT;

		assert_int_equal(ul_config_parse(texts[i][0],
						 strlen(texts[i][0]), "test",
						 &config, &err),
				 0);
		assert_int_equal(ul_rights_init(&config, 0, &rights, &err),
				 UL_E_INVALID);
		assert_string_equal(err.msg, texts[i][1]);
		ul_config_release(&config);
	}
}

static void test_peer__is_who_connected(void **state)
{
	struct ul_peer peer;
	struct ul_err err = UL_ERR_INIT;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(ul_peer_of(fds[0], &peer, &err), 0);
	assert_int_equal(peer.user_id, geteuid());
	assert_int_equal(peer.process_id, getpid());
	assert_int_equal(peer.group_ids[0], getegid());
	assert_true(peer.group_count >= 1);
	assert_true(peer.is_local);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(ul_peer_of(fds[0], &peer, &err), UL_E_IO);
}

static void test_peer__survives_every_allocation_failure(void **state)
{
	struct ul_config config;
	struct ul_err err = UL_ERR_INIT;
	long n;
	int rc;

	(void)state;
	assert_int_equal(ul_config_parse(access_text, strlen(access_text),
					 "test", &config, &err),
			 0);
	for (n = 0;; n++) {
		struct ul_rights rights;

		ul_mem_countdown = n;
		rc = ul_rights_init(&config, 0, &rights, &err);
		ul_mem_countdown = -1;
		if (!rc) {
			ul_rights_release(&rights);
			break;
		}
		assert_int_equal(rc, UL_E_NOMEM);
	}
	assert_true(n >= 4);
	ul_config_release(&config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_peer__rights_are_those_of_the_configuration),
		cmocka_unit_test(test_peer__everyone_may_read_where_it_says_so),
		cmocka_unit_test(test_peer__who_comes_by_the_port_reads),
		cmocka_unit_test(test_peer__names_have_to_exist),
		cmocka_unit_test(test_peer__is_who_connected),
		cmocka_unit_test(test_peer__survives_every_allocation_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
