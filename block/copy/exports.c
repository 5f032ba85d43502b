// SPDX-License-Identifier: GPL-2.0
/*
 * What the copy engine needs of C: exported symbols, tracepoints, an initcall.
 */
#include <linux/blk-copy.h>
#include <linux/export.h>
#include <linux/init.h>

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

EXPORT_RUST_GPL(blkdev_copy_offload);
EXPORT_RUST_GPL(blk_copy_nr_src);
EXPORT_RUST_GPL(blk_copy_src);

/* Before any driver can have added a disk. */
core_initcall(blk_copy_init);
