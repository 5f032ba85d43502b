// SPDX-License-Identifier: GPL-2.0
/*
 * A copy request is ended as a whole, whatever part of it its driver names: the
 * rest of it would be written to the wrong place.
 */
#include <kunit/test.h>
#include <linux/bio.h>
#include <linux/blk-mq.h>

#define BYTES	SZ_64K

struct ended {
	struct request rq;
	struct bio bio;
	unsigned int count;
	blk_status_t status;
};

static void count_end(struct bio *bio)
{
	struct ended *ended = bio->bi_private;

	ended->count++;
	ended->status = bio->bi_status;
}

/* Ends part of a request of this operation. Returns whether more is left. */
static bool end_part(struct ended *ended, enum req_op op, blk_status_t status,
		     unsigned int bytes)
{
	memset(ended, 0, sizeof(*ended));
	bio_init(&ended->bio, NULL, NULL, 0, op);
	ended->bio.bi_iter.bi_size = BYTES;
	ended->bio.bi_private = ended;
	ended->bio.bi_end_io = count_end;
	ended->rq.cmd_flags = op;
	ended->rq.rq_flags = RQF_QUIET | RQF_SPECIAL_PAYLOAD;
	ended->rq.__data_len = BYTES;
	ended->rq.bio = &ended->bio;
	return blk_update_request(&ended->rq, status, bytes);
}

static void copy_ends_as_a_whole(struct kunit *test)
{
	struct ended *ended = kunit_kzalloc(test, sizeof(*ended), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ended);
	KUNIT_EXPECT_FALSE(test, end_part(ended, REQ_OP_COPY_DST, BLK_STS_OK,
					  BYTES / 2));
	KUNIT_EXPECT_EQ(test, ended->count, 1);
	KUNIT_EXPECT_EQ(test, ended->status, BLK_STS_IOERR);

	KUNIT_EXPECT_FALSE(test, end_part(ended, REQ_OP_COPY_DST,
					  BLK_STS_MEDIUM, BYTES / 2));
	KUNIT_EXPECT_EQ(test, ended->count, 1);
	KUNIT_EXPECT_EQ(test, ended->status, BLK_STS_MEDIUM);

	/* Nothing was done: the driver is going to retry it. */
	KUNIT_EXPECT_TRUE(test, end_part(ended, REQ_OP_COPY_DST, BLK_STS_OK,
					 0));
	KUNIT_EXPECT_EQ(test, ended->count, 0);
}

/* This shows that the test above can fail. */
static void discard_ends_in_parts(struct kunit *test)
{
	struct ended *ended = kunit_kzalloc(test, sizeof(*ended), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, ended);
	KUNIT_EXPECT_TRUE(test, end_part(ended, REQ_OP_DISCARD, BLK_STS_OK,
					 BYTES / 2));
	KUNIT_EXPECT_EQ(test, ended->count, 0);
	KUNIT_EXPECT_EQ(test, blk_rq_bytes(&ended->rq), BYTES / 2);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(copy_ends_as_a_whole),
	KUNIT_CASE(discard_ends_in_parts),
	{}
};

static struct kunit_suite suite = {
	.name = "blk_copy_partial",
	.test_cases = cases,
};
kunit_test_suite(suite);
