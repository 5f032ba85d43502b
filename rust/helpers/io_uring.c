// SPDX-License-Identifier: GPL-2.0

#include <linux/io_uring/cmd.h>

__rust_helper struct io_uring_cmd *
rust_helper_io_uring_cmd_from_tw(struct io_tw_req tw_req)
{
	return io_uring_cmd_from_tw(tw_req);
}

__rust_helper void
rust_helper_io_uring_cmd_do_in_task_lazy(struct io_uring_cmd *cmd,
					 io_req_tw_func_t task_work_cb)
{
	io_uring_cmd_do_in_task_lazy(cmd, task_work_cb);
}

__rust_helper void rust_helper_io_uring_cmd_done_in_task(struct io_uring_cmd *cmd,
							 s32 ret)
{
	io_uring_cmd_done(cmd, ret, IO_URING_CMD_TASK_WORK_ISSUE_FLAGS);
}

__rust_helper void
rust_helper_io_uring_cmd_mark_stoppable(struct io_uring_cmd *cmd,
					unsigned int issue_flags)
{
	cmd->flags |= IORING_URING_CMD_STOPPABLE;
	io_uring_cmd_mark_cancelable(cmd, issue_flags);
}
