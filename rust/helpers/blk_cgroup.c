// SPDX-License-Identifier: GPL-2.0

#include <linux/cgroup.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>

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

/* The cgroup that the memory of this task is charged to, with a reference. */
__rust_helper struct mem_cgroup *rust_helper_block_memcg_get(void)
{
	return get_mem_cgroup_from_current();
}

__rust_helper void rust_helper_block_memcg_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put(memcg);
}

/*
 * Charges there, with a reference of its own, until block_memcg_leave() with
 * what this returns.
 */
__rust_helper struct mem_cgroup *
rust_helper_block_memcg_use(struct mem_cgroup *memcg)
{
	/* The caller has a reference as well, so this is one. */
	if (!mem_cgroup_tryget(memcg))
		memcg = NULL;
	return set_active_memcg(memcg);
}

__rust_helper void rust_helper_block_memcg_leave(struct mem_cgroup *before)
{
	mem_cgroup_put(set_active_memcg(before));
}
