/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The Copy command of NVMe: what core.c calls of copy.rs.
 */
#ifndef _NVME_HOST_COPY_H
#define _NVME_HOST_COPY_H

#include <linux/blkdev.h>
#include <linux/nvme.h>

/* A source range, and as many as a command can have, in bytes. */
#define NVME_COPY_RANGE_SIZE	32
#define NVME_COPY_PAYLOAD_SIZE	(256 * NVME_COPY_RANGE_SIZE)

#ifdef CONFIG_BLK_COPY_OFFLOAD

/*
 * In LBAs, as Identify Namespace has them; nothing if not @supported. The
 * source ranges are data, of at most @max_sectors.
 */
void nvme_copy_limits(struct queue_limits *lim, bool supported,
		      unsigned int lba_shift, u32 mcl, u16 mssrl, u8 msrc,
		      u32 max_sectors);

/* Fills in @cmd and @len bytes of @payload; false: the request is bad. */
bool nvme_fill_copy(struct request *req, unsigned int lba_shift, u32 nsid,
		    struct nvme_command *cmd, void *payload, unsigned int len);

#else /* CONFIG_BLK_COPY_OFFLOAD */

static inline void nvme_copy_limits(struct queue_limits *lim, bool supported,
				    unsigned int lba_shift, u32 mcl, u16 mssrl,
				    u8 msrc, u32 max_sectors)
{
}

#endif /* CONFIG_BLK_COPY_OFFLOAD */
#endif /* _NVME_HOST_COPY_H */
