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

/* What becomes of a Copy command that ended with an error: see fate.rs. */
enum nvme_copy_fate {
	/* The same as of any other command with this status */
	NVME_COPY_AS_OTHERS,
	/* It ends with what the status says */
	NVME_COPY_ENDED,
	/* Another way is taken, which is no error */
	NVME_COPY_REFUSED,
	/* A controller may have it still: it ends with an error of the path */
	NVME_COPY_LOST,
	/* It ends because it took too long */
	NVME_COPY_TIMED_OUT,
};

/*
 * Of a command with a @status that is not a success. @free: no controller has
 * it any more. @late: its time limit ran out.
 */
enum nvme_copy_fate nvme_copy_fate(u16 status, bool free, bool late);

/*
 * The most, in sectors, that commands should cover from now on, as one of
 * @sectors was refused with @status; UINT_MAX if that says nothing.
 */
u32 nvme_copy_lesson(u16 status, unsigned int sectors, unsigned int lba_shift);

/* The time limit of a command of @sectors; @ordinary: that of other commands. */
unsigned int nvme_copy_timeout(unsigned int ordinary, unsigned int sectors);

/* Lowers the limits to commands of @max_sectors, if those are higher. */
void nvme_copy_lower(struct queue_limits *lim, u32 max_sectors);

/*
 * In LBAs, as Identify Namespace has them; nothing if not @supported. The
 * source ranges are data, of at most @max_sectors.
 */
void nvme_copy_limits(struct queue_limits *lim, bool supported,
		      unsigned int lba_shift, u32 mcl, u16 mssrl, u8 msrc,
		      u32 max_sectors);

/*
 * Fills in @cmd and @len bytes of @payload; false: the request is bad.
 * @placement: the placement identifier of what is written, or NULL.
 */
bool nvme_fill_copy(struct request *req, unsigned int lba_shift, u32 nsid,
		    const u16 *placement, struct nvme_command *cmd,
		    void *payload, unsigned int len);

#endif /* CONFIG_BLK_COPY_OFFLOAD */
#endif /* _NVME_HOST_COPY_H */
