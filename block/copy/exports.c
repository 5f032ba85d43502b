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

EXPORT_RUST_GPL(blk_copy_run);
EXPORT_RUST_GPL(blk_copy_pool_create);
EXPORT_RUST_GPL(blk_copy_pool_destroy);
EXPORT_RUST_GPL(bdev_copy_limits);
EXPORT_RUST_GPL(bdev_copy_place);
EXPORT_RUST_GPL(blk_copy_split);
EXPORT_RUST_GPL(blk_copy_nr_reads);
EXPORT_RUST_GPL(blk_copy_next_src);

/* Submits a bio that was checked, accounted and throttled before. */
void blk_copy_resubmit(struct bio *bio)
{
	submit_bio_checked(bio, false);
}

DEFINE_SHOW_ATTRIBUTE(blk_copy_stats);

/* The file stays as long as the directory of the queue. */
void blk_copy_debugfs_register(struct request_queue *q)
{
	debugfs_create_file("copy_stats", 0400, q->debugfs_dir, q,
			    &blk_copy_stats_fops);
}

/* The engine must be ready before a driver adds a disk. */
core_initcall(blk_copy_init);
