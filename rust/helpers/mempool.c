// SPDX-License-Identifier: GPL-2.0

#include <linux/mempool.h>

__rust_helper struct mempool *
rust_helper_mempool_create_kmalloc_pool(int min_nr, size_t size)
{
	return mempool_create_kmalloc_pool(min_nr, size);
}

__rust_helper void *rust_helper_mempool_alloc(struct mempool *pool, gfp_t gfp)
{
	return mempool_alloc(pool, gfp);
}
