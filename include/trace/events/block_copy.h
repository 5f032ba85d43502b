/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The phases of one chunk of a copy; see Documentation/block/copy-offload.rst.
 * Sectors are of 512 bytes.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM block_copy

#if !defined(_TRACE_BLOCK_COPY_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_BLOCK_COPY_H

#include <linux/kdev_t.h>
#include <linux/tracepoint.h>

/* In the order of enum Counter in block/copy/verdict.rs. */
#define show_block_copy_outcome(outcome)				\
	__print_symbolic(outcome,					\
			 { 0, "offloaded" },				\
			 { 1, "failed" },				\
			 { 2, "fallback:notsupp" },			\
			 { 3, "fallback:domain" },			\
			 { 4, "fallback:again" },			\
			 { 5, "onloaded" },				\
			 { 6, "split" })

DECLARE_EVENT_CLASS(block_copy_pair,
	TP_PROTO(dev_t src_dev, sector_t src, dev_t dst_dev, sector_t dst,
		 sector_t nr_sects),
	TP_ARGS(src_dev, src, dst_dev, dst, nr_sects),
	TP_STRUCT__entry(
		__field(dev_t, src_dev)
		__field(dev_t, dst_dev)
		__field(sector_t, src)
		__field(sector_t, dst)
		__field(sector_t, nr_sects)
	),
	TP_fast_assign(
		__entry->src_dev = src_dev;
		__entry->dst_dev = dst_dev;
		__entry->src = src;
		__entry->dst = dst;
		__entry->nr_sects = nr_sects;
	),
	TP_printk("src=%d,%d %llu dst=%d,%d %llu sectors=%llu",
		  MAJOR(__entry->src_dev), MINOR(__entry->src_dev),
		  (unsigned long long)__entry->src,
		  MAJOR(__entry->dst_dev), MINOR(__entry->dst_dev),
		  (unsigned long long)__entry->dst,
		  (unsigned long long)__entry->nr_sects)
);

/* A chunk sets out, as the caller sees the devices. */
DEFINE_EVENT(block_copy_pair, block_copy_submit,
	TP_PROTO(dev_t src_dev, sector_t src, dev_t dst_dev, sector_t dst,
		 sector_t nr_sects),
	TP_ARGS(src_dev, src, dst_dev, dst, nr_sects)
);

/* All bios are at the bottom: the command goes to this device. */
DEFINE_EVENT(block_copy_pair, block_copy_dispatch,
	TP_PROTO(dev_t src_dev, sector_t src, dev_t dst_dev, sector_t dst,
		 sector_t nr_sects),
	TP_ARGS(src_dev, src, dst_dev, dst, nr_sects)
);

/* So much, from these places on, is read and written instead. */
DEFINE_EVENT(block_copy_pair, block_copy_onload,
	TP_PROTO(dev_t src_dev, sector_t src, dev_t dst_dev, sector_t dst,
		 sector_t nr_sects),
	TP_ARGS(src_dev, src, dst_dev, dst, nr_sects)
);

/* One bio is at the bottom: a source, or a command, which may have to wait. */
TRACE_EVENT(block_copy_park,
	TP_PROTO(dev_t dev, sector_t sector, sector_t nr_sects, bool dst),
	TP_ARGS(dev, sector, nr_sects, dst),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(sector_t, sector)
		__field(sector_t, nr_sects)
		__field(bool, dst)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->sector = sector;
		__entry->nr_sects = nr_sects;
		__entry->dst = dst;
	),
	TP_printk("%s=%d,%d %llu sectors=%llu",
		  __entry->dst ? "dst" : "src",
		  MAJOR(__entry->dev), MINOR(__entry->dev),
		  (unsigned long long)__entry->sector,
		  (unsigned long long)__entry->nr_sects)
);

/* A chunk, or a buffer that was read and written, is over: how, and why. */
TRACE_EVENT(block_copy_done,
	TP_PROTO(dev_t dst_dev, sector_t dst, sector_t nr_sects,
		 unsigned char outcome, int error),
	TP_ARGS(dst_dev, dst, nr_sects, outcome, error),
	TP_STRUCT__entry(
		__field(dev_t, dst_dev)
		__field(sector_t, dst)
		__field(sector_t, nr_sects)
		__field(unsigned char, outcome)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->dst_dev = dst_dev;
		__entry->dst = dst;
		__entry->nr_sects = nr_sects;
		__entry->outcome = outcome;
		__entry->error = error;
	),
	TP_printk("dst=%d,%d %llu sectors=%llu %s error=%d",
		  MAJOR(__entry->dst_dev), MINOR(__entry->dst_dev),
		  (unsigned long long)__entry->dst,
		  (unsigned long long)__entry->nr_sects,
		  show_block_copy_outcome(__entry->outcome), __entry->error)
);

#endif /* _TRACE_BLOCK_COPY_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
