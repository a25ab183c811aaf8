#include "tests/unit/base/fixture.h"

#include "base/digest.h"

/* FIPS 180-2, appendices B and C. */
#define ABC_256                                                                \
	"sha256:"                                                              \
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_512                                                                \
	"sha512:"                                                              \
	"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"     \
	"2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

static void test_digest__agrees_with_the_standard(void **state)
{
	struct ul_digest digest;
	struct ul_hash hash;
	char text[UL_DIGEST_TEXT_MAX];
	int i;

	(void)state;
	ul_digest_of(UL_DIGEST_SHA256, "abc", 3, &digest);
	ul_digest_format(&digest, text);
	assert_string_equal(text, ABC_256);
	ul_digest_of(UL_DIGEST_SHA512, "abc", 3, &digest);
	ul_digest_format(&digest, text);
	assert_string_equal(text, ABC_512);
	ul_hash_init(&hash, UL_DIGEST_SHA256);
	for (i = 0; i < 1000000; i += 1000) {
		char as[1000];

		memset(as, 'a', sizeof as);
		ul_hash_update(&hash, as, sizeof as);
	}
	ul_hash_final(&hash, &digest);
	ul_digest_format_hex(&digest, text);
	assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67"
				  "f1809a48a497200e046d39ccc7112cd0");
}

static void test_digest__reads_only_the_exact_form(void **state)
{
	static const char *const wrong[] = {
		"",
		":",
		"sha256",
		"sha256:",
		"sha256:ab",
		"sha256:BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF6"
		"1F20015AD",
		ABC_256 "0",
		ABC_256 " ",
		" " ABC_256,
		"md5:900150983cd24fb0d6963f7d28e17f72",
		"sha512:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff6"
		"1f20015ad",
		"sha256:../816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff6"
		"1f20015ad",
	};
	struct ul_digest digest = UL_DIGEST_INIT, other;
	char text[UL_DIGEST_TEXT_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < ul_array_len(wrong); i++) {
		assert_false(ul_digest_parse(wrong[i], &digest));
		assert_int_equal(digest.alg, UL_DIGEST_NONE);
	}
	assert_true(ul_digest_parse(ABC_512, &digest));
	ul_digest_format(&digest, text);
	assert_string_equal(text, ABC_512);
	assert_true(ul_digest_parse(ABC_256, &other));
	assert_false(ul_digest_equal(&digest, &other));
	assert_true(ul_digest_cmp(&other, &digest) < 0);
	assert_true(
	    ul_digest_parse_hex(UL_DIGEST_SHA256, &ABC_256[7], &digest));
	assert_true(ul_digest_equal(&digest, &other));
}

static void test_digest__chains_over_the_text_forms(void **state)
{
	struct ul_digest first, second, chain, expected;
	char text[2 * UL_DIGEST_TEXT_MAX];

	(void)state;
	ul_digest_of(UL_DIGEST_SHA256, "one", 3, &first);
	ul_digest_of(UL_DIGEST_SHA256, "two", 3, &second);
	ul_digest_chain(NULL, &first, &chain);
	assert_true(ul_digest_equal(&chain, &first));
	ul_digest_format(&first, text);
	strcat(text, " ");
	ul_digest_format(&second, text + strlen(text));
	assert_int_equal(strlen(text), 71 + 1 + 71);
	ul_digest_of(UL_DIGEST_SHA256, text, strlen(text), &expected);
	/* The result may be the parent's own variable. */
	ul_digest_chain(&chain, &second, &chain);
	assert_true(ul_digest_equal(&chain, &expected));
	ul_digest_format(&chain, text);
	assert_string_equal(
	    text,
	    "sha256:"
	    "ee90d7132b9e9a049b7b0a88db345ca31fb5e8a74a5ee57210478a9a2522d499");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_digest__agrees_with_the_standard),
		cmocka_unit_test(test_digest__reads_only_the_exact_form),
		cmocka_unit_test(test_digest__chains_over_the_text_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
