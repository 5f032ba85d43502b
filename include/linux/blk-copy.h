/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copy offload: data is copied inside a device instead of through memory.
 *
 * See Documentation/block/copy-offload.rst. The implementation is in Rust, in
 * block/copy/; this header is its C interface and has the stubs for kernels
 * without it.
 */
#ifndef _LINUX_BLK_COPY_H
#define _LINUX_BLK_COPY_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/sizes.h>
#include <uapi/linux/blkdev.h>

struct blk_copy_pool;
struct file;
struct io_uring_cmd;
struct seq_file;

/**
 * struct blk_copy_range - a range of a block device
 * @sector: first sector of 512 bytes
 * @nr_sects: number of sectors
 */
struct blk_copy_range {
	sector_t sector;
	sector_t nr_sects;
};

/**
 * struct blk_copy_params - what to copy, and what came of it
 * @src_bdev: device to read, open for as long as the copy runs
 * @dst_bdev: device to write, open for as long as the copy runs
 * @src: source ranges, valid and not changed until the copy has ended
 * @dst: destination ranges, valid and not changed until the copy has ended
 * @nr_src: number of source ranges
 * @nr_dst: number of destination ranges
 * @end_io: called once when the copy has ended; NULL to wait for it
 * @owner: with @end_io, the module that it is in, which is not unloaded before
 *   it has returned; NULL if that is built in
 * @private: for @end_io
 * @write_hint: how long what is written is expected to stay, as bi_write_hint
 * @write_stream: where to write it, as bi_write_stream: up to max_write_streams
 *   of @dst_bdev; 0: no stream
 * @cancelled: for blk_copy_cancel(); false at the start
 * @error: result: 0 or -errno
 * @copied: result: sectors copied from the start without a gap
 */
struct blk_copy_params {
	struct block_device *src_bdev, *dst_bdev;
	const struct blk_copy_range *src, *dst;
	unsigned int nr_src, nr_dst;
	void (*end_io)(struct blk_copy_params *params);
	struct module *owner;
	void *private;
	enum rw_hint write_hint;
	u8 write_stream;
	bool cancelled;
	int error;
	sector_t copied;
};

/**
 * struct blk_copy_limits - what one copy command may cover
 * @max_sectors: sectors in all; 0: nothing can be copied
 * @max_hw_sectors: the same, but for what administrators allow
 * @max_segment_sectors: sectors of one source range; 0: no limit of its own
 * @max_src_segments: number of source ranges
 * @max_dst_segments: number of destination ranges
 */
struct blk_copy_limits {
	unsigned int max_sectors;
	unsigned int max_hw_sectors;
	unsigned int max_segment_sectors;
	unsigned short max_src_segments;
	unsigned short max_dst_segments;
};

/**
 * struct blk_copy_place - where a part of a device is, down to what can copy it
 * @op: REQ_OP_COPY_SRC if it is to be read, REQ_OP_COPY_DST to be written
 * @sector: its first sector, on the device that is asked
 * @nr_sects: its length; set to how much of it, from its start, is in one place
 * @domain: set to the copy_domain of the queue there; NULL if nobody says
 * @barred: set if no device copies there
 */
struct blk_copy_place {
	enum req_op op;
	sector_t sector;
	sector_t nr_sects;
	const struct blk_copy_domain *domain;
	bool barred;
};

/**
 * enum blk_copy_way - how to copy
 * @BLK_COPY_OFFLOAD: inside the device, or not at all
 * @BLK_COPY_ONLOAD: by reading and writing
 * @BLK_COPY_ANY: inside the device wherever it can, by reading and writing
 *   elsewhere
 */
enum blk_copy_way {
	BLK_COPY_OFFLOAD,
	BLK_COPY_ONLOAD,
	BLK_COPY_ANY,
};

#ifdef CONFIG_BLK_COPY_OFFLOAD

/* For the functions below, which say what it does. */
int blk_copy_run(struct blk_copy_params *params, struct blk_copy_pool *pool,
		 enum blk_copy_way way);

/**
 * blkdev_copy_offload - copy inside a device
 * @params: what to copy; the result is in there as well
 * @pool: the caller's reserve of memory, or NULL for the one that all share
 *
 * Without @end_io the copy has ended when this returns. With it, the copy runs
 * on; blk_copy_cancel() stops it, the caller's signals do not. @end_io is called
 * once by a worker, before this returns or later. It may free @params, but must not begin
 * another copy with the same pool, nor wait for one.
 *
 * A driver that copies in order to do its own I/O does so with a pool of its
 * own, and from ->submit_bio with @end_io.
 *
 * Context: Task context. May sleep, but needs no memory that it could fail to
 * get.
 *
 * Return: -EIOCBQUEUED if @end_io was or will be called; otherwise it never is,
 * and the result is 0, or
 * * -EINVAL - a range is empty, not on boundaries of both logical blocks, or
 *   past the end of its device; the sums differ; a destination overlaps a
 *   source, or another destination; there is no such write stream
 * * -ENODEV - a range is past the end of a device that is gone
 * * -EPERM - the destination is read-only
 * * -EOPNOTSUPP - the devices cannot copy this: read and write it instead
 * * -EINTR - a fatal signal is pending
 * * -ECANCELED - blk_copy_cancel() was called
 * * -EDEADLK - without @end_io, from ->submit_bio: it would wait for itself
 * * other - the error of the device, after which no other way should be tried
 *
 * All but the first three are in @params->error where @end_io is
 * called.
 */
static inline int blkdev_copy_offload(struct blk_copy_params *params,
				      struct blk_copy_pool *pool)
{
	return blk_copy_run(params, pool, BLK_COPY_OFFLOAD);
}

/**
 * blkdev_copy_onload - copy by reading and writing
 * @params: what to copy; the result is in there as well
 * @pool: the caller's reserve of memory, or NULL for the one that all share
 *
 * Reads ahead while it writes, with at most 8 MiB of memory; all copies that
 * share a pool have at most 16 MiB, or 256 KiB each if that is more. As for
 * blkdev_copy_offload(), but the devices need not be able to copy.
 *
 * Context: Task context. May sleep, but needs no memory that it could fail to
 * get. A driver that copies in order to do its own I/O needs a @pool of its own.
 *
 * Return: as blkdev_copy_offload(), but -EOPNOTSUPP only if the kernel has no
 * CONFIG_BLK_COPY_OFFLOAD
 */
static inline int blkdev_copy_onload(struct blk_copy_params *params,
				     struct blk_copy_pool *pool)
{
	return blk_copy_run(params, pool, BLK_COPY_ONLOAD);
}

/**
 * blkdev_copy - copy, inside the device wherever it can
 * @params: what to copy; the result is in there as well
 * @pool: the caller's reserve of memory, or NULL for the one that all share
 *
 * What a device cannot copy is read and written, chunk by chunk. What it failed
 * to copy is not: that is an error.
 *
 * Context: Task context. May sleep, but needs no memory that it could fail to
 * get. A driver that copies in order to do its own I/O needs a @pool of its own.
 *
 * Return: as blkdev_copy_offload(), but -EOPNOTSUPP only if the kernel has no
 * CONFIG_BLK_COPY_OFFLOAD
 */
static inline int blkdev_copy(struct blk_copy_params *params,
			      struct blk_copy_pool *pool)
{
	return blk_copy_run(params, pool, BLK_COPY_ANY);
}

/**
 * blk_copy_cancel - end a copy in the background early
 * @params: of a copy with @end_io
 *
 * Nothing of it is sent to a device any more. When what is in flight has ended,
 * @end_io is called as always: with -ECANCELED, unless the copy failed before,
 * or all of it was on its way already. @params->copied is exact.
 *
 * This may be called before the copy begins, which then ends at once; while it
 * runs; and while or after @end_io is called, which changes nothing. All that
 * is used is the memory of @params. So who frees that from @end_io makes sure,
 * by a lock or a reference, that nobody is about to cancel; and who begins
 * another copy with it sets it up anew.
 *
 * Context: Any context. Does not sleep, and takes no lock.
 */
static inline void blk_copy_cancel(struct blk_copy_params *params)
{
	WRITE_ONCE(params->cancelled, true);
}

/**
 * blk_copy_pool_create - make a reserve of memory for copies
 *
 * Whatever happens to the memory of the machine, one copy at a time that uses
 * the pool makes progress.
 *
 * Context: Task context. May sleep.
 *
 * Return: the pool, or an ERR_PTR() of -ENOMEM
 */
struct blk_copy_pool *blk_copy_pool_create(void);

/**
 * blk_copy_pool_destroy - free a reserve of memory
 * @pool: from blk_copy_pool_create(), and not used by any copy any more; or NULL
 *
 * The end_io of the last copy that used it may do so. Others wait until nothing
 * of the pool runs any more, unless they are workers of any kind.
 *
 * Context: Task context. May sleep.
 */
void blk_copy_pool_destroy(struct blk_copy_pool *pool);

/**
 * bdev_copy_limits - what one copy command may cover, down to the devices
 * @bdev: the device
 * @lim: narrowed to what @bdev allows, and what it lies on
 *
 * Context: Task context. Does not sleep.
 */
void bdev_copy_limits(struct block_device *bdev, struct blk_copy_limits *lim);

/**
 * bdev_copy_place - where a part of a device is, down to what can copy it
 * @bdev: the device
 * @place: which part; the answer is in there as well
 *
 * Mappings may change at any time, so the answer is good for planning only. The
 * sector in it stays as it was.
 *
 * Context: Task context. Does not sleep.
 */
void bdev_copy_place(struct block_device *bdev, struct blk_copy_place *place);

/**
 * blk_copy_split - a bio of a copy is mapped to several places
 * @bio: the bio, which the caller then ends with BLK_STS_NOTSUPP
 * @nr_sects: number of sectors, from its start, that are in one place
 *
 * For stacking drivers, which must not split such a bio themselves. The copy
 * is split there, and tried again.
 *
 * Context: Task context. Does not sleep.
 */
void blk_copy_split(struct bio *bio, sector_t nr_sects);

/**
 * blk_copy_stack_limits - set the limits of a stacking driver
 * @lim: its new limits
 * @q: its queue, to keep what the administrator has set; NULL if @lim has that
 * @supported: whether bios of copies may be passed on
 *
 * Its operations need copy_limits(), because what its devices can copy, and
 * what administrators let them, changes without its knowing. If it maps its disk
 * to several places, copy_place() saves the copy engine from asking in vain.
 *
 * Context: Any context. Does not sleep.
 */
static inline void blk_copy_stack_limits(struct queue_limits *lim,
					 struct request_queue *q,
					 bool supported)
{
	if (q)
		lim->max_user_copy_sectors = q->limits.max_user_copy_sectors;
	lim->max_hw_copy_sectors = supported ? UINT_MAX : 0;
	lim->max_copy_segment_sectors = 0;
	lim->max_copy_src_segments = supported ? USHRT_MAX : 0;
	lim->max_copy_dst_segments = supported ? USHRT_MAX : 0;
}

/* The number of ranges that a bio's command reads; 0 for other bios. */
unsigned int blk_copy_nr_reads(struct bio *bio);

/**
 * blk_copy_nr_src - number of source ranges of a copy request
 * @rq: request of REQ_OP_COPY_DST that its driver has started
 *
 * Each is no longer than max_copy_segment_sectors.
 *
 * Context: Any context. Does not sleep.
 *
 * Return: the number; 0 if @rq is no copy
 */
static inline unsigned int blk_copy_nr_src(struct request *rq)
{
	return rq->bio ? blk_copy_nr_reads(rq->bio) : 0;
}

/**
 * struct blk_copy_iter - how far a driver has come in the sources of a request
 * @source: for the block layer; 0 at the start
 * @done: for the block layer; 0 at the start
 */
struct blk_copy_iter {
	unsigned int source;
	sector_t done;
};

/**
 * blk_copy_next_src - the next source range of a copy request
 * @rq: request of REQ_OP_COPY_DST that its driver has started
 * @iter: all zero at the start; goes on by one range
 * @range: set to the range, on the whole disk
 *
 * The ranges are written one after the other.
 *
 * Context: Any context. Does not sleep.
 *
 * Return: false if there is no further range
 */
bool blk_copy_next_src(struct request *rq, struct blk_copy_iter *iter,
		       struct blk_copy_range *range);

/* For the block layer and the VFS. */
int blk_copy_init(void);
void blk_copy_debugfs_register(struct request_queue *q);
int blk_copy_stats_show(struct seq_file *m, void *unused);
struct bio *blk_copy_intercept(struct bio *bio);
void blk_copy_resubmit(struct bio *bio);
bool blk_copy_fits(struct bio *bio);
u64 blk_copy_show_bytes(struct gendisk *disk, bool hw);
void blk_copy_validate_limits(struct queue_limits *lim);
int blk_copy_store_max_bytes(struct queue_limits *lim, const char *page,
			     size_t count);
loff_t blkdev_copy_room(struct file *file_out, loff_t pos_out);
ssize_t blkdev_copy_file_range(struct file *file_in, loff_t pos_in,
			       struct file *file_out, loff_t pos_out,
			       size_t len, unsigned int flags);
int blk_copy_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);

/* Returns the bio to issue now, or NULL while others are on their way. */
static inline struct bio *blk_copy_issue(struct bio *bio)
{
	return op_is_copy(bio->bi_opf) ? blk_copy_intercept(bio) : bio;
}

static inline bool blk_copy_supported(struct request_queue *q)
{
	return q->limits.max_copy_sectors;
}

/*
 * Whether the limits still allow a copy, which may have been planned before
 * they changed. With a reference to the queue, so that they do not change now.
 */
static inline bool blk_copy_allowed(struct bio *bio)
{
	return !op_is_copy(bio->bi_opf) || blk_copy_fits(bio);
}

/*
 * A copy that its driver ended in part would go on with a destination that has
 * moved and sources that have not. It ends as a whole instead, with an error.
 */
static inline unsigned int blk_copy_end_bytes(blk_opf_t opf,
					      unsigned int all_bytes,
					      unsigned int nr_bytes,
					      blk_status_t *error)
{
	if (likely(!op_is_copy(opf)) || !nr_bytes || nr_bytes >= all_bytes)
		return nr_bytes;
	if (!*error)
		*error = BLK_STS_IOERR;
	return all_bytes;
}

/*
 * A command must end before its time limit, on a device that is slow and has
 * others to do. Administrators may allow longer ones, to what the device takes.
 */
static inline void blk_copy_default_limits(struct queue_limits *lim)
{
	lim->max_user_copy_sectors = SZ_32M >> SECTOR_SHIFT;
}

#else /* CONFIG_BLK_COPY_OFFLOAD */

static inline int blkdev_copy_offload(struct blk_copy_params *params,
				      struct blk_copy_pool *pool)
{
	return -EOPNOTSUPP;
}

static inline int blkdev_copy_onload(struct blk_copy_params *params,
				     struct blk_copy_pool *pool)
{
	return -EOPNOTSUPP;
}

static inline int blkdev_copy(struct blk_copy_params *params,
			      struct blk_copy_pool *pool)
{
	return -EOPNOTSUPP;
}

static inline void blk_copy_cancel(struct blk_copy_params *params)
{
}

static inline void bdev_copy_limits(struct block_device *bdev,
				    struct blk_copy_limits *lim)
{
	lim->max_sectors = 0;
}

static inline void bdev_copy_place(struct block_device *bdev,
				   struct blk_copy_place *place)
{
}

static inline void blk_copy_split(struct bio *bio, sector_t nr_sects)
{
}

static inline void blk_copy_stack_limits(struct queue_limits *lim,
					 struct request_queue *q,
					 bool supported)
{
}

static inline struct blk_copy_pool *blk_copy_pool_create(void)
{
	return NULL;
}

static inline void blk_copy_pool_destroy(struct blk_copy_pool *pool)
{
}

static inline void blk_copy_debugfs_register(struct request_queue *q)
{
}

static inline struct bio *blk_copy_issue(struct bio *bio)
{
	return bio;
}

static inline bool blk_copy_supported(struct request_queue *q)
{
	return false;
}

static inline bool blk_copy_allowed(struct bio *bio)
{
	return true;
}

static inline unsigned int blk_copy_nr_reads(struct bio *bio)
{
	return 0;
}

static inline unsigned int blk_copy_end_bytes(blk_opf_t opf,
					      unsigned int all_bytes,
					      unsigned int nr_bytes,
					      blk_status_t *error)
{
	return nr_bytes;
}

static inline void blk_copy_default_limits(struct queue_limits *lim)
{
}

static inline void blk_copy_validate_limits(struct queue_limits *lim)
{
}

static inline loff_t blkdev_copy_room(struct file *file_out, loff_t pos_out)
{
	return -EINVAL;
}

static inline int blk_copy_uring_cmd(struct io_uring_cmd *cmd,
				     unsigned int issue_flags)
{
	return -EINVAL;
}

#endif /* CONFIG_BLK_COPY_OFFLOAD */
#endif /* _LINUX_BLK_COPY_H */
