// SPDX-License-Identifier: GPL-2.0

#include <linux/blkdev.h>
#include <linux/mempool.h>
#include <linux/sched/signal.h>

__rust_helper bool rust_helper_bdev_read_only(struct block_device *bdev)
{
	return bdev_read_only(bdev);
}

__rust_helper bool rust_helper_bdev_has_submit_bio(struct block_device *bdev)
{
	return bdev_test_flag(bdev, BD_HAS_SUBMIT_BIO);
}

__rust_helper bool rust_helper_blk_queue_is_zoned(struct request_queue *q)
{
	return blk_queue_is_zoned(q);
}

__rust_helper int rust_helper_fatal_signal_pending(struct task_struct *task)
{
	return fatal_signal_pending(task);
}

__rust_helper struct mempool *
rust_helper_mempool_create_kmalloc_pool(int min_nr, size_t size)
{
	return mempool_create_kmalloc_pool(min_nr, size);
}

__rust_helper void *rust_helper_mempool_alloc(struct mempool *pool, gfp_t gfp)
{
	return mempool_alloc(pool, gfp);
}

__rust_helper void rust_helper_cond_resched(void)
{
	cond_resched();
}

__rust_helper void rust_helper_file_accessed(struct file *file)
{
	file_accessed(file);
}

__rust_helper bool rust_helper_file_is_dsync(struct file *file)
{
	return (file->f_flags & O_DSYNC) || IS_SYNC(file->f_mapping->host);
}
