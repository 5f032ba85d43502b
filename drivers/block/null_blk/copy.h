/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copy commands of null_blk: what copy.rs and main.c call of each other.
 */
#ifndef __NULL_BLK_COPY_H
#define __NULL_BLK_COPY_H

#include <linux/blkdev.h>

struct nullb_cmd;

#ifdef CONFIG_BLK_COPY_OFFLOAD

/* In copy.rs. */
blk_status_t null_handle_copy(struct nullb_cmd *cmd);
void null_config_copy(struct queue_limits *lim, unsigned long max_bytes);

/* In main.c. They may sleep. */
blk_status_t null_copy_begin(struct nullb_cmd *cmd, sector_t dst, sector_t src,
			     unsigned int nr_sectors);
blk_status_t null_copy_blocks(struct nullb_cmd *cmd, sector_t dst, sector_t src,
			      unsigned int nr_sectors);

/* A device copies within itself, and has one queue. */
static inline void null_set_copy_domain(struct request_queue *q)
{
	q->copy_domain = &q->own_copy_domain;
}

#else /* CONFIG_BLK_COPY_OFFLOAD */

static inline blk_status_t null_handle_copy(struct nullb_cmd *cmd)
{
	return BLK_STS_NOTSUPP;
}

static inline void null_set_copy_domain(struct request_queue *q)
{
}

#endif /* CONFIG_BLK_COPY_OFFLOAD */
#endif /* __NULL_BLK_COPY_H */
