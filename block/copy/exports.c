// SPDX-License-Identifier: GPL-2.0
/*
 * What the copy engine needs of C: exported symbols, tracepoints, an initcall.
 */
#include <linux/blk-copy.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/seq_file.h>

#include "../blk.h"
#include "../blk-cgroup.h"

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include <trace/events/block_copy.h>

/*
 * The context of a copy stands in the place of the vector: a bio must not grow
 * for the sake of the few that copy.
 */
static_assert(offsetof(struct bio, bi_copy) == offsetof(struct bio, bi_io_vec));
static_assert(offsetof(struct bio, bi_iter) ==
	      offsetof(struct bio, bi_io_vec) + sizeof(struct bio_vec *));

/* The functions are in ffi.rs, so no definition stands above this. */
#define EXPORT_RUST_GPL(function) EXPORT_SYMBOL_GPL(function)

EXPORT_RUST_GPL(blkdev_copy);
EXPORT_RUST_GPL(blkdev_copy_offload);
EXPORT_RUST_GPL(blkdev_copy_onload);
EXPORT_RUST_GPL(blk_copy_pool_create);
EXPORT_RUST_GPL(blk_copy_pool_destroy);
EXPORT_RUST_GPL(bdev_copy_limits);
EXPORT_RUST_GPL(blk_copy_split);
EXPORT_RUST_GPL(blk_copy_nr_src);
EXPORT_RUST_GPL(blk_copy_src);

/* Asks for the cgroup once only. The other bio was not submitted yet. */
void blk_copy_init_like(struct bio *bio, struct bio *like)
{
	bio_init(bio, NULL, NULL, 0, like->bi_opf);
	bio->bi_bdev = like->bi_bdev;
	bio->bi_iter.bi_size = like->bi_iter.bi_size;
	bio->bi_end_io = like->bi_end_io;
#ifdef CONFIG_BLK_CGROUP
	bio->bi_blkg = like->bi_blkg;
	if (bio->bi_blkg)
		blkg_get(bio->bi_blkg);
#endif
}

/* It has the checks, the accounting and the throttling behind it. */
void blk_copy_resubmit(struct bio *bio)
{
	submit_bio_checked(bio, false);
}

DEFINE_SHOW_ATTRIBUTE(blk_copy_stats);

/* For as long as the queue has its directory. */
void blk_copy_debugfs_register(struct request_queue *q)
{
	debugfs_create_file("copy_stats", 0400, q->debugfs_dir, q,
			    &blk_copy_stats_fops);
}

/* Before any driver can have added a disk. */
core_initcall(blk_copy_init);
