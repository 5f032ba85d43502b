// SPDX-License-Identifier: GPL-2.0

#include <linux/cgroup.h>
#include <linux/kthread.h>

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
