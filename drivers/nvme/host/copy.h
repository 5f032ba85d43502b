/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The Copy command of NVMe: what core.c calls of copy.rs.
 */
#ifndef _NVME_HOST_COPY_H
#define _NVME_HOST_COPY_H

#include <linux/blkdev.h>
#include <linux/nvme.h>

/* Room for as many source ranges as a command can have. */
#define NVME_COPY_PAYLOAD_SIZE	(256 * 32)

#ifdef CONFIG_BLK_COPY_OFFLOAD

/* In LBAs, as Identify Namespace has them; nothing if not @supported. */
void nvme_copy_limits(struct queue_limits *lim, bool supported,
		      unsigned int lba_shift, u32 mcl, u16 mssrl, u8 msrc);

/* Returns the bytes of @payload that were written; 0: the request is bad. */
unsigned int nvme_fill_copy(struct request *req, unsigned int lba_shift,
			    u32 nsid, struct nvme_command *cmd, void *payload);

/* A device copies within one namespace, on whichever path. */
static inline void nvme_set_copy_domain(struct request_queue *q, void *domain)
{
	q->copy_domain = domain;
}

#else /* CONFIG_BLK_COPY_OFFLOAD */

static inline void nvme_copy_limits(struct queue_limits *lim, bool supported,
				    unsigned int lba_shift, u32 mcl, u16 mssrl,
				    u8 msrc)
{
}

static inline unsigned int nvme_fill_copy(struct request *req,
					  unsigned int lba_shift, u32 nsid,
					  struct nvme_command *cmd,
					  void *payload)
{
	return 0;
}

static inline void nvme_set_copy_domain(struct request_queue *q, void *domain)
{
}

#endif /* CONFIG_BLK_COPY_OFFLOAD */
#endif /* _NVME_HOST_COPY_H */
