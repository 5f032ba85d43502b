// SPDX-License-Identifier: GPL-2.0

#include <linux/blkdev.h>
#include <linux/cgroup.h>
#include <linux/kthread.h>
#include <linux/mempool.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/workqueue.h>

__rust_helper bool rust_helper_bdev_read_only(struct block_device *bdev)
{
	return bdev_read_only(bdev);
}

__rust_helper bool rust_helper_bdev_has_submit_bio(struct block_device *bdev)
{
	return bdev_test_flag(bdev, BD_HAS_SUBMIT_BIO);
}

__rust_helper void rust_helper_bio_set_dev(struct bio *bio,
					   struct block_device *bdev)
{
	bio_set_dev(bio, bdev);
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

__rust_helper void *rust_helper_block_kmalloc(size_t size, gfp_t gfp)
{
	return kmalloc(size, gfp);
}

/* The cgroup that the I/O of this task is accounted to, with a reference. */
__rust_helper struct cgroup_subsys_state *rust_helper_block_io_css_get(void)
{
#ifdef CONFIG_BLK_CGROUP
	struct cgroup_subsys_state *css = kthread_blkcg();

	if (!css)
		return task_get_css(current, io_cgrp_id);
	css_get(css);
	return css;
#else
	return NULL;
#endif
}

__rust_helper void
rust_helper_block_io_css_put(struct cgroup_subsys_state *css)
{
#ifdef CONFIG_BLK_CGROUP
	css_put(css);
#endif
}

__rust_helper void
rust_helper_block_io_css_use(struct cgroup_subsys_state *css)
{
	kthread_associate_blkcg(css);
}

__rust_helper void rust_helper_block_module_get(struct module *module)
{
	__module_get(module);
}

__rust_helper void rust_helper_block_module_put(struct module *module)
{
	module_put(module);
}

__rust_helper struct workqueue_struct *
rust_helper_block_alloc_workqueue(const char *name)
{
	return alloc_workqueue("%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 0, name);
}

__rust_helper void
rust_helper_file_invalidate_written(struct file *file, loff_t pos, size_t len)
{
	struct kiocb iocb;

	init_sync_kiocb(&iocb, file);
	iocb.ki_pos = pos;
	kiocb_invalidate_post_direct_write(&iocb, len);
}

/* One inode for reading, another or the same one for writing. */
__rust_helper void
rust_helper_lock_inode_pair(struct inode *shared, struct inode *exclusive)
{
	if (shared == exclusive) {
		inode_lock(exclusive);
	} else if (shared < exclusive) {
		inode_lock_shared(shared);
		inode_lock_nested(exclusive, I_MUTEX_NONDIR2);
	} else {
		inode_lock(exclusive);
		inode_lock_shared_nested(shared, I_MUTEX_NONDIR2);
	}
}

__rust_helper void
rust_helper_unlock_inode_pair(struct inode *shared, struct inode *exclusive)
{
	if (shared != exclusive)
		inode_unlock_shared(shared);
	inode_unlock(exclusive);
}
