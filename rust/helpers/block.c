// SPDX-License-Identifier: GPL-2.0

#include <linux/blkdev.h>
#include <linux/pagemap.h>

__rust_helper void rust_helper_file_accessed(struct file *file)
{
	file_accessed(file);
}

__rust_helper bool rust_helper_file_is_dsync(struct file *file)
{
	return (file->f_flags & O_DSYNC) || IS_SYNC(file->f_mapping->host);
}

__rust_helper void
rust_helper_file_invalidate_written(struct file *file, loff_t pos, size_t len)
{
	struct kiocb iocb;

	init_sync_kiocb(&iocb, file);
	iocb.ki_pos = pos;
	kiocb_invalidate_post_direct_write(&iocb, len);
}

__rust_helper bool rust_helper_file_is_readable(struct file *file)
{
	return file->f_mode & FMODE_READ;
}

__rust_helper bool rust_helper_file_is_writable(struct file *file)
{
	return file->f_mode & FMODE_WRITE;
}

__rust_helper bool rust_helper_file_is_swap(struct file *file)
{
	return IS_SWAPFILE(file->f_mapping->host);
}

__rust_helper bool
rust_helper_filemap_range_needs_writeback(struct address_space *mapping,
					  loff_t start, loff_t last)
{
	return filemap_range_needs_writeback(mapping, start, last);
}
