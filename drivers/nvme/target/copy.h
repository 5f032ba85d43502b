/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copy commands of hosts: what the target calls of copy.rs, and its stubs.
 */
#ifndef _NVMET_COPY_H
#define _NVMET_COPY_H

#include <linux/seq_file.h>
#include "nvmet.h"

/* The number of ranges, less one, is in the first byte of dword 12. */
static inline u32 nvmet_copy_len(struct nvmet_req *req)
{
	return ((le32_to_cpu(req->cmd->common.cdw12) & 0xff) + 1) * 32;
}

#ifdef CONFIG_BLK_COPY_OFFLOAD

int nvmet_copy_ns_enable(struct nvmet_ns *ns, struct module *module);
void nvmet_copy_ns_disable(struct nvmet_ns *ns);
void nvmet_copy_identify_ns(struct nvmet_ns *ns, struct nvme_id_ns *id);
void nvmet_execute_copy(struct nvmet_req *req);
int nvmet_ns_copy_show(struct seq_file *m, void *unused);

static inline bool nvmet_ns_copies(struct nvmet_ns *ns)
{
	return ns->copy;
}

static inline void nvmet_copy_identify_ctrl(struct nvme_id_ctrl *id)
{
	id->oncs |= cpu_to_le16(NVME_CTRL_ONCS_COPY);
	/* Descriptor format 0 */
	id->ocfs = cpu_to_le16(1 << 0);
}

static inline void nvmet_copy_effects(struct nvme_effects_log *log)
{
	log->iocs[nvme_cmd_copy] =
		cpu_to_le32(NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC);
}

static inline u16 nvmet_parse_copy_cmd(struct nvmet_req *req)
{
	if (!req->ns->copy)
		return nvmet_report_invalid_opcode(req);
	req->execute = nvmet_execute_copy;
	return 0;
}

#else /* CONFIG_BLK_COPY_OFFLOAD */

static inline int nvmet_copy_ns_enable(struct nvmet_ns *ns,
				       struct module *module)
{
	return 0;
}

static inline void nvmet_copy_ns_disable(struct nvmet_ns *ns)
{
}

static inline void nvmet_copy_identify_ns(struct nvmet_ns *ns,
					  struct nvme_id_ns *id)
{
}

static inline int nvmet_ns_copy_show(struct seq_file *m, void *unused)
{
	return 0;
}

static inline bool nvmet_ns_copies(struct nvmet_ns *ns)
{
	return false;
}

static inline void nvmet_copy_identify_ctrl(struct nvme_id_ctrl *id)
{
}

static inline void nvmet_copy_effects(struct nvme_effects_log *log)
{
}

static inline u16 nvmet_parse_copy_cmd(struct nvmet_req *req)
{
	return nvmet_report_invalid_opcode(req);
}

#endif /* CONFIG_BLK_COPY_OFFLOAD */
#endif /* _NVMET_COPY_H */
